#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sweep {

/// The whole content of a file. Throws Failure(kUsage) naming the path when it cannot be read.
[[nodiscard]] std::string ReadFile(const std::filesystem::path& path);

/// Writes so that a reader, or a machine that lost power, sees the old content or the new one,
/// never a part: temporary, fsync, rename, fsync of the folder. Throws Failure(kDatabase).
void WriteFileAtomic(const std::filesystem::path& path, std::string_view content);

/// As WriteFileAtomic, but publishes by link(2), which fails if `path` exists: the first writer
/// wins. Returns false when the file was there already (it is left as it is). Throws
/// Failure(kDatabase).
bool PublishFileOnce(const std::filesystem::path& path, std::string_view content);

/// Makes the folder and its parents durable: creation is followed by fsync of the parent.
void MakeDirectories(const std::filesystem::path& path);

/// fsync of a folder, so that a rename or link inside it survives a power loss.
void SyncDirectory(const std::filesystem::path& path);

}  // namespace sweep
