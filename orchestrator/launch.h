#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

namespace sweep {

/// Keeps all signals from this thread, and from threads and children that it starts meanwhile.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  /// What was blocked before.
  [[nodiscard]] const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

/// A program to start as a child process, its output going to files.
struct Launch {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::filesystem::path stdout_log;
  std::filesystem::path stderr_log;

  /// Starts it with the signals of `blocked` blocked, in a process group of its own, so that Ctrl-C
  /// does not reach it; the kernel asks it to stop (SIGTERM) when the calling thread ends. Returns
  /// its process id. Throws Failure: kUsage when the program cannot be executed, kDatabase or
  /// kDiskFull when a file cannot be opened.
  [[nodiscard]] pid_t Start(const sigset_t& blocked) const;
};

}  // namespace sweep
