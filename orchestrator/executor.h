#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sweep {

/// One attempt to start: a command whose output goes to files.
struct AttemptJob {
  std::string run_id;
  int64_t attempt = 0;
  std::vector<std::string> argv;
  std::filesystem::path stdout_log;
  std::filesystem::path stderr_log;
};

/// One attempt that has ended, as the outside world tells it. What it achieved is read from its
/// files, never from this.
struct AttemptExit {
  std::string run_id;
  int64_t attempt = 0;
  std::optional<int> exit_code;
  std::optional<int> signal;
};

/// The outside world: where attempts run. Unit tests fake this interface and nothing else.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Recorded with every attempt.
  [[nodiscard]] virtual std::string name() const = 0;

  /// Is there room for one more attempt now?
  [[nodiscard]] virtual bool CanStart() const = 0;

  /// Starts it and returns its process or job number. Throws Failure when the command cannot be
  /// started at all.
  virtual int64_t Start(const AttemptJob& job) = 0;

  /// Attempts that ended; waits up to `timeout` for the first one.
  [[nodiscard]] virtual std::vector<AttemptExit> Poll(std::chrono::milliseconds timeout) = 0;

  enum class StopMode {
    kCheckpoint,  ///< ask: save and exit
    kKill,        ///< at once
  };
  /// Acts on everything that is still running; exits are reported by Poll as ever.
  virtual void Stop(StopMode mode) = 0;

  [[nodiscard]] virtual size_t running() const = 0;
};

}  // namespace sweep
