#pragma once

namespace sweep {

/// While one lives, SIGINT and SIGTERM are counted instead of killing the process, and SIGHUP (the
/// terminal was closed) is taken for a first of them; the destructor restores what was.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// How often the user has asked to stop: once means save and stop, more means now.
  [[nodiscard]] int count() const;
};

/// As InterruptGuard::count of the one that lives.
[[nodiscard]] int InterruptCount();

}  // namespace sweep
