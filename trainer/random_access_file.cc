#include "trainer/random_access_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/failure.h"
#include "trainer/data_file.h"

namespace sweep {
namespace {

[[noreturn]] void Fail(const FileReader& file, int64_t offset, int64_t bytes, const char* why) {
  throw Failure(
      FailureCode::kData,
      fmt::format(
          "cannot read {} bytes at {} of {}: {}", bytes, offset, file.path().string(), why));
}

}  // namespace

RandomAccessFile::RandomAccessFile(const std::filesystem::path& path) : file_(OpenDataFile(path)) {}

std::string RandomAccessFile::Read(int64_t offset, int64_t bytes) const {
  constexpr const char* kEndsBefore = "the file ends before";
  const bool inside = offset >= 0 && bytes >= 0 && offset <= size() && bytes <= size() - offset;
  if (!inside) Fail(file_, offset, bytes, kEndsBefore);
  std::string content(static_cast<size_t>(bytes), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::pread(file_.fd(),
                                content.data() + done,
                                content.size() - done,
                                offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) Fail(file_, offset, bytes, got < 0 ? std::strerror(errno) : kEndsBefore);
    done += static_cast<size_t>(got);
  }
  return content;
}

void RandomAccessFile::ReadAhead(int64_t offset, int64_t bytes) const {
  ::posix_fadvise(file_.fd(), offset, bytes, POSIX_FADV_WILLNEED);
}

}  // namespace sweep
