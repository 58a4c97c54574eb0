#include "trainer/random_access_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/failure.h"

namespace sweep {

RandomAccessFile::RandomAccessFile(std::filesystem::path path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status{};
  if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    throw Failure(FailureCode::kData,
                  fmt::format("cannot read {}: {}", path_.string(), std::strerror(error)));
  }
  size_ = status.st_size;
}

RandomAccessFile::~RandomAccessFile() {
  ::close(fd_);
}

std::string RandomAccessFile::Read(int64_t offset, int64_t bytes) const {
  std::string content(static_cast<size_t>(bytes), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::pread(
        fd_, content.data() + done, content.size() - done, offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw Failure(FailureCode::kData,
                    fmt::format("cannot read {} bytes at {} of {}: {}",
                                bytes,
                                offset,
                                path_.string(),
                                got < 0 ? std::strerror(errno) : "the file ends before"));
    }
    done += static_cast<size_t>(got);
  }
  return content;
}

void RandomAccessFile::ReadAhead(int64_t offset, int64_t bytes) const {
  ::posix_fadvise(fd_, offset, bytes, POSIX_FADV_WILLNEED);
}

}  // namespace sweep
