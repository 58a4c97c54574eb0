#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sweep {

/// The whole content of a regular file, uncompressed if it is in gzip format: at most `limit`
/// bytes, however small the file is. Throws Failure(kData) naming the path when it cannot be read,
/// is damaged or cut off, or has more.
[[nodiscard]] std::string ReadGzipOrPlainFile(const std::filesystem::path& path, int64_t limit);

}  // namespace sweep
