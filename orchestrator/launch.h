#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

namespace sweep {

/// A program about to be started as a child process, its output going to files. Moves, and closes
/// its files when it goes.
class Launch {
 public:
  /// Opens the files. Throws Failure(kDatabase) or Failure(kDiskFull) when that fails.
  Launch(std::vector<std::string> argv,
         std::vector<std::string> environment,
         const std::filesystem::path& stdout_log,
         const std::filesystem::path& stderr_log);
  ~Launch();
  Launch(Launch&& other) noexcept;
  Launch& operator=(Launch&&) = delete;

  /// Starts it with the signals of `blocked` blocked, in a process group of its own, so that Ctrl-C
  /// does not reach it; the kernel asks it to stop (SIGTERM) when the calling thread ends. Returns
  /// its process id. Throws Failure(kUsage) when the program cannot be executed.
  [[nodiscard]] pid_t Start(const sigset_t& blocked);

 private:
  std::vector<std::string> argv_;
  std::vector<std::string> environment_;
  int stdout_fd_ = -1;
  int stderr_fd_ = -1;
};

}  // namespace sweep
