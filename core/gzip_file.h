#pragma once

#include <filesystem>
#include <string>

namespace sweep {

/// The whole content of a file, uncompressed if it is in gzip format. Throws Failure(kData) naming
/// the path when it cannot be read or is damaged.
[[nodiscard]] std::string ReadGzipOrPlainFile(const std::filesystem::path& path);

}  // namespace sweep
