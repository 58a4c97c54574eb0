#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace sweep {

/// A copy of this program that goes on without a terminal.
struct Detached {
  int pid = 0;
  std::filesystem::path log;     ///< what it prints, both streams
  std::optional<int> exit_code;  ///< it has ended already: there was nothing to do, or it failed
};

/// Starts this program again with the same words but `--detach`, in a session of its own, so that
/// neither a closed terminal nor Ctrl-C reaches it; returns once it holds the store or has ended.
/// Throws Failure(kInternal) when it cannot be started.
[[nodiscard]] Detached StartDetached(const std::filesystem::path& store);

}  // namespace sweep
