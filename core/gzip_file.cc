#include "core/gzip_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#include "core/failure.h"
#include "core/read_file.h"

namespace sweep {
namespace {

using GzipFile = std::unique_ptr<gzFile_s, decltype(&gzclose)>;

[[noreturn]] void Fail(const std::string& what) {
  throw Failure(FailureCode::kData, what);
}

// zlib reads plain files and gzip files alike, and closes the descriptor that it is given.
GzipFile Open(const std::filesystem::path& path) {
  try {
    const FileReader file(path);
    const int fd = ::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) ThrowReadError(path, errno);
    GzipFile gzip(gzdopen(fd, "rb"), gzclose);
    if (!gzip) Fail(fmt::format("cannot read {}", path.string()));
    gzbuffer(gzip.get(), 1U << 18U);
    return gzip;
  } catch (const Failure& failure) {
    Fail(failure.what());
  }
}

// A file that is cut off ends without an error of gzread's, and with one of gzerror's.
bool EndedWhole(gzFile_s* file) {
  int code = Z_OK;
  (void)gzerror(file, &code);
  return code == Z_OK || code == Z_STREAM_END;
}

}  // namespace

std::string ReadGzipOrPlainFile(const std::filesystem::path& path, int64_t limit) {
  constexpr size_t kPiece = size_t{1} << 20U;
  const GzipFile file = Open(path);
  std::string content;
  size_t size = 0;
  for (;;) {
    if (content.size() < size + kPiece) content.resize(std::max(size + kPiece, 2 * size));
    const int got = gzread(file.get(), content.data() + size, static_cast<unsigned>(kPiece));
    if (got < 0) Fail(fmt::format("{} is damaged", path.string()));
    if (got == 0) break;
    size += static_cast<size_t>(got);
    if (static_cast<int64_t>(size) > limit) {
      Fail(fmt::format(
          "{}: holds more than {} bytes, the most that is read of it", path.string(), limit));
    }
  }
  if (!EndedWhole(file.get())) Fail(fmt::format("{} is cut off", path.string()));
  content.resize(size);
  return content;
}

}  // namespace sweep
