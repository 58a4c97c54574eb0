#include "trainer/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "core/failure.h"
#include "core/files.h"
#include "core/json.h"

namespace sweep {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");
constexpr size_t kLengthBytes = 8;

[[noreturn]] void FailFormat(const std::string& path, const std::string& what) {
  throw Failure(FailureCode::kData, fmt::format("{}: not a safetensors file: {}", path, what));
}

// Bytes of one value; 0 for a dtype that nothing here reads.
uint64_t SizeOf(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 1;
  return 0;
}

uint64_t SizeOf(const SafeTensor& tensor) {
  uint64_t size = SizeOf(tensor.dtype);
  for (const int64_t length : tensor.shape) size *= static_cast<uint64_t>(length);
  return size;
}

std::string Header(const std::vector<SafeTensor>& tensors) {
  Json header = Json::object();
  uint64_t offset = 0;
  for (const SafeTensor& tensor : tensors) {
    const uint64_t end = offset + SizeOf(tensor);
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const uint64_t length = text.size();
  std::string prefix(kLengthBytes, '\0');
  std::memcpy(prefix.data(), &length, kLengthBytes);
  return prefix + text;
}

// Who reads a tensor goes by its shape: it must not lead beyond its bytes.
bool FitsItsBytes(const SafeTensor& tensor) {
  uint64_t size = SizeOf(tensor.dtype);
  if (size == 0) return true;  // refused by its dtype when it is asked for
  for (const int64_t length : tensor.shape) {
    if (length < 0 || __builtin_mul_overflow(size, static_cast<uint64_t>(length), &size))
      return false;
  }
  return size == tensor.bytes.size();
}

SafeTensor ParseEntry(const std::string& name, const Json& entry, std::string_view data) {
  const auto begin = entry.at("data_offsets").at(0).get<size_t>();
  const auto end = entry.at("data_offsets").at(1).get<size_t>();
  if (begin > end || end > data.size())
    throw std::out_of_range(fmt::format("tensor '{}' lies beyond the file", name));
  SafeTensor tensor{name,
                    entry.at("dtype").get<std::string>(),
                    entry.at("shape").get<std::vector<int64_t>>(),
                    data.substr(begin, end - begin)};
  if (!FitsItsBytes(tensor)) {
    throw std::out_of_range(fmt::format("tensor '{}' of shape {} and dtype {} has {} bytes",
                                        name,
                                        entry.at("shape").dump(),
                                        tensor.dtype,
                                        tensor.bytes.size()));
  }
  return tensor;
}

}  // namespace

class SafetensorsWriter::File {
 public:
  explicit File(const std::filesystem::path& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (fd_ < 0) Fail("create");
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void WriteAt(uint64_t offset, std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) Fail("write");
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
  }
  void Sync() const {
    if (::fsync(fd_) != 0) Fail("sync");
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    ThrowFileError("cannot " + what, path_, errno);
  }
  std::filesystem::path path_;
  int fd_;
};

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::vector<SafeTensor>& tensors)
    : file_(std::make_unique<File>(path)) {
  const std::string header = Header(tensors);
  file_->WriteAt(0, header);
  uint64_t offset = header.size();
  for (const SafeTensor& tensor : tensors) {
    offsets_[tensor.name] = offset;
    offset += SizeOf(tensor);
  }
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::Write(const std::string& name, std::string_view bytes) {
  file_->WriteAt(offsets_.at(name), bytes);
}

void SafetensorsWriter::Finish() {
  file_->Sync();
}

void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafeTensor>& tensors) {
  SafetensorsWriter writer(path, tensors);
  for (const SafeTensor& tensor : tensors) writer.Write(tensor.name, tensor.bytes);
  writer.Finish();
}

std::map<std::string, SafeTensor> ParseSafetensors(std::string_view content,
                                                   const std::string& origin) {
  uint64_t length = 0;
  if (content.size() < kLengthBytes) FailFormat(origin, "too short");
  std::memcpy(&length, content.data(), kLengthBytes);
  if (length > content.size() - kLengthBytes) FailFormat(origin, "the header is cut");
  const std::string_view data = content.substr(kLengthBytes + length);
  std::map<std::string, SafeTensor> tensors;
  try {
    const Json header = Json::parse(content.substr(kLengthBytes, length));
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") tensors[name] = ParseEntry(name, entry, data);
    }
  } catch (const std::exception& error) {
    FailFormat(origin, error.what());
  }
  return tensors;
}

class SafetensorsFile::Mapping {
 public:
  explicit Mapping(const std::filesystem::path& path) : size_(std::filesystem::file_size(path)) {
    if (size_ == 0) return;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) ThrowFileError("cannot open", path, errno);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    ::close(fd);
    if (data_ == MAP_FAILED) ThrowFileError("cannot map", path, error);
  }
  ~Mapping() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  size_t size_;
  void* data_ = nullptr;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
  if (!std::filesystem::is_regular_file(path))
    throw Failure(FailureCode::kData, fmt::format("weights file {} is missing", path_));
  content_ = std::make_shared<const Mapping>(path);
  tensors_ = ParseSafetensors(content_->bytes(), path_);
}

const SafeTensor& SafetensorsFile::Get(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Failure(FailureCode::kData, fmt::format("{}: no tensor '{}'", path_, name));
  return found->second;
}

}  // namespace sweep
