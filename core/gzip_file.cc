#include "core/gzip_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <memory>

#include "core/failure.h"

namespace sweep {

// zlib reads plain files and gzip files alike.
std::string ReadGzipOrPlainFile(const std::filesystem::path& path) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw Failure(FailureCode::kData, fmt::format("cannot read {}", path.string()));
  gzbuffer(file.get(), 1U << 18U);
  std::string content;
  size_t size = 0;
  while (true) {
    content.resize(size + (size_t{8} << 20U));
    const int got =
        gzread(file.get(), content.data() + size, static_cast<unsigned>(content.size() - size));
    if (got < 0) throw Failure(FailureCode::kData, fmt::format("{} is damaged", path.string()));
    size += static_cast<size_t>(got);
    if (got == 0) break;
  }
  content.resize(size);
  return content;
}

}  // namespace sweep
