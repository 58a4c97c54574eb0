#pragma once

#include <filesystem>

namespace sweep {

/// Does another process hold the flock(2) of this file? Not where there is no such file, or
/// something else has its name: no link is followed, no pipe waited for.
[[nodiscard]] bool IsLocked(const std::filesystem::path& path);

}  // namespace sweep
