#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace sweep {

/// Exit code where there is no program of that name, as of a shell.
inline constexpr int kNotFound = 127;

/// What a command said and how it ended.
struct CommandResult {
  std::optional<int> exit_code;  ///< nullopt: ended by a signal, or by us after the time-out
  bool timed_out = false;
  std::string out;
  std::string error;

  [[nodiscard]] bool ok() const { return exit_code == 0; }
};

/// Runs a command of a scheduler and waits for its process to end, killing it after `timeout`,
/// sooner when the user asks `sweep` to stop meanwhile (see InterruptGuard), and when it writes
/// more than 64 MiB. What it leaves at work in the background is not waited for. A program that is
/// not there gives exit code kNotFound.
[[nodiscard]] CommandResult RunCommand(const std::vector<std::string>& argv,
                                       std::chrono::milliseconds timeout);

}  // namespace sweep
