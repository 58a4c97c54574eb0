#pragma once

#include <filesystem>

#include "core/read_file.h"

namespace sweep {

/// Opens a file of data or weights, which others made. Throws Failure(kData) naming the path where
/// there is none, where it may not be read, or where something else than a regular file has its
/// name (a pipe is not waited for); Failure(kDatabase) for I/O errors and too many open files.
[[nodiscard]] FileReader OpenDataFile(const std::filesystem::path& path);

/// The content of such a file of at most `limit` bytes. Throws likewise, and Failure(kData) when it
/// is larger.
[[nodiscard]] std::string ReadDataFile(const std::filesystem::path& path, int64_t limit);

}  // namespace sweep
