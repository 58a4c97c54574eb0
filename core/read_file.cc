#include "core/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/failure.h"

namespace sweep {
namespace {

// O_NONBLOCK: opening a pipe that nobody writes to must not wait.
Descriptor Open(const std::filesystem::path& path, FileKind kind) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (kind == FileKind::kRegular ? O_NONBLOCK : 0);
  for (;;) {
    Descriptor fd(::open(path.c_str(), flags));
    if (fd.get() >= 0) return fd;
    if (errno != EINTR) ThrowReadError(path, errno);
  }
}

const char* NameOfKind(mode_t mode) {
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

[[noreturn]] void ThrowTooLarge(const std::filesystem::path& path, int64_t limit) {
  throw Malformed(
      fmt::format("{}: larger than {} bytes, the most that is read of it", path.string(), limit));
}

// Are the words of `error` about the path, so that another path or permission is the remedy?
bool IsAboutThePath(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
    case ENXIO:
    case ENODEV:
      return true;
    default:
      return false;
  }
}

std::string ReadAll(FileReader& file, int64_t limit) {
  constexpr size_t kPiece = 1 << 16;
  if (file.size() > limit) ThrowTooLarge(file.path(), limit);
  std::string content;
  size_t size = 0;
  for (;;) {
    // One byte more than the file has: its end is then seen without growing the text.
    if (content.size() < size + kPiece)
      content.resize(std::max(size + kPiece, static_cast<size_t>(file.size()) + 1));
    const size_t got = file.Read(content.data() + size, content.size() - size);
    if (got == 0) break;
    size += got;
    if (static_cast<int64_t>(size) > limit) ThrowTooLarge(file.path(), limit);
    if (size == content.size()) content.resize(2 * size);
  }
  content.resize(size);
  return content;
}

}  // namespace

FailureCode CodeOfReadError(int error) {
  return IsAboutThePath(error) ? FailureCode::kUsage : FailureCode::kDatabase;
}

void ThrowReadError(const std::filesystem::path& path, int error) {
  throw Failure(CodeOfReadError(error),
                fmt::format("cannot read {}: {}", path.string(), std::strerror(error)));
}

FileReader::FileReader(std::filesystem::path path, FileKind kind)
    : path_(std::move(path)), fd_(Open(path_, kind)) {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) ThrowReadError(path_, errno);
  if (S_ISDIR(info.st_mode)) ThrowReadError(path_, EISDIR);
  if (S_ISREG(info.st_mode)) {
    size_ = info.st_size;
  } else if (kind == FileKind::kRegular) {
    throw Malformed(fmt::format(
        "cannot read {}: it is {}, not a regular file", path_.string(), NameOfKind(info.st_mode)));
  }
}

size_t FileReader::Read(char* buffer, size_t size) {
  for (;;) {
    const ssize_t got = ::read(fd_.get(), buffer, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) ThrowReadError(path_, errno);
  }
}

void FileReader::Seek(int64_t offset) {
  if (::lseek(fd_.get(), offset, SEEK_SET) < 0) ThrowReadError(path_, errno);
}

std::string ReadFile(const std::filesystem::path& path, int64_t limit) {
  FileReader file(path, FileKind::kRegular);
  return ReadAll(file, limit);
}

std::string ReadNamedFile(const std::filesystem::path& path, int64_t limit) {
  FileReader file(path, FileKind::kAny);
  return ReadAll(file, limit);
}

}  // namespace sweep
