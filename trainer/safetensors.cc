#include "trainer/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "core/failure.h"
#include "core/files.h"
#include "core/json.h"
#include "core/printable.h"
#include "trainer/data_file.h"

namespace sweep {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");
constexpr size_t kLengthBytes = 8;
// A header describes a tensor in about 100 bytes; the largest published files have some thousand.
constexpr uint64_t kMostHeaderBytes = uint64_t{16} << 20;
constexpr size_t kMostDimensions = 16;

[[noreturn]] void FailFormat(const std::string& path, const std::string& what) {
  throw Failure(FailureCode::kData,
                fmt::format("{}: not a safetensors file: {}", path, Printable(what)));
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

// Bytes that a tensor of such a shape has; nullopt for a shape that no tensor can have. Lengths of
// zero count as one where the others are multiplied, because strides are made of them.
std::optional<uint64_t> BytesOf(const std::string& dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = SizeOf(dtype);
  bool empty = false;
  for (const int64_t length : shape) {
    empty = empty || length == 0;
    const auto factor = static_cast<uint64_t>(std::max<int64_t>(length, 1));
    if (length < 0 || __builtin_mul_overflow(bytes, factor, &bytes)) return std::nullopt;
  }
  if (shape.size() > kMostDimensions || bytes > INT64_MAX) return std::nullopt;
  return empty ? 0 : bytes;
}

// Who reads a tensor goes by its shape: it must not lead beyond its bytes.
bool FitsItsBytes(const SafeTensor& tensor) {
  if (SizeOf(tensor.dtype) == 0) return true;  // refused by its dtype when it is asked for
  return BytesOf(tensor.dtype, tensor.shape) == tensor.bytes.size();
}

std::vector<int64_t> Integers(const Json& numbers, const std::string& tensor, const char* what) {
  std::vector<int64_t> integers;
  if (!numbers.is_array())
    throw std::invalid_argument(fmt::format("tensor '{}': {} is no array", tensor, what));
  for (const Json& number : numbers) {
    if (!number.is_number_integer() || number.get<int64_t>() < 0)
      throw std::invalid_argument(
          fmt::format("tensor '{}': {} has {}, expected integers", tensor, what, number.dump()));
    integers.push_back(number.get<int64_t>());
  }
  return integers;
}

// An entry of the header with its place in the data.
struct Entry {
  size_t begin = 0, end = 0;
  SafeTensor tensor;
};

Entry ParseEntry(const std::string& name, const Json& json, std::string_view data) {
  const auto offsets = Integers(json.at("data_offsets"), name, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1] || std::cmp_greater(offsets[1], data.size()))
    throw std::out_of_range(fmt::format("tensor '{}' lies beyond the file", name));
  Entry entry{static_cast<size_t>(offsets[0]), static_cast<size_t>(offsets[1]), {}};
  entry.tensor = {name,
                  json.at("dtype").get<std::string>(),
                  Integers(json.at("shape"), name, "shape"),
                  data.substr(entry.begin, entry.end - entry.begin)};
  if (!FitsItsBytes(entry.tensor)) {
    throw std::out_of_range(fmt::format("tensor '{}' of shape {} and dtype {} has {} bytes",
                                        name,
                                        json.at("shape").dump(),
                                        entry.tensor.dtype,
                                        entry.tensor.bytes.size()));
  }
  return entry;
}

// The format wants tensors one after the other from the first byte to the last: bytes that are two
// tensors', or nobody's, are a sign of damage or of a file that hides something.
void CheckPlaces(std::vector<Entry>& entries, size_t data_size) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  size_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end) {
      throw std::out_of_range(fmt::format("tensor '{}' begins at byte {} of the data, expected {}",
                                          entry.tensor.name,
                                          entry.begin,
                                          end));
    }
    end = entry.end;
  }
  if (end != data_size) {
    throw std::out_of_range(
        fmt::format("the data has {} bytes, expected the {} of its tensors", data_size, end));
  }
}

std::vector<Entry> ParseHeader(std::string_view header, std::string_view data) {
  std::vector<Entry> entries;
  const Json object = ParseJson(header, "the header");
  if (!object.is_object()) throw std::invalid_argument("the header is no object");
  for (const auto& [name, json] : object.items()) {
    if (name != "__metadata__") entries.push_back(ParseEntry(name, json, data));
  }
  CheckPlaces(entries, data.size());
  return entries;
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
  if (length > kMostHeaderBytes)
    FailFormat(origin, fmt::format("a header of {} bytes, too large", length));
  const std::string_view data = content.substr(kLengthBytes + length);
  std::map<std::string, SafeTensor> tensors;
  try {
    for (Entry& entry : ParseHeader(content.substr(kLengthBytes, length), data))
      tensors[entry.tensor.name] = std::move(entry.tensor);
  } catch (const std::exception& error) {
    FailFormat(origin, error.what());
  }
  return tensors;
}

class SafetensorsFile::Mapping {
 public:
  explicit Mapping(const std::filesystem::path& path) {
    const FileReader file = OpenDataFile(path);
    size_ = static_cast<size_t>(file.size());
    if (size_ == 0) return;
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd(), 0);
    if (data_ == MAP_FAILED) ThrowFileError("cannot map", path, errno);
  }
  ~Mapping() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  size_t size_ = 0;
  void* data_ = nullptr;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
  if (!std::filesystem::exists(path))
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
