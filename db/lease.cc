#include "db/lease.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <random>
#include <sstream>
#include <thread>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

namespace {

int64_t RandomToken() {
  std::random_device source;
  return static_cast<int64_t>(source()) << 31 ^ static_cast<int64_t>(source());
}

// errno, or 0.
int Overwrite(int fd, const std::string& text) {
  const auto size = static_cast<ssize_t>(text.size());
  const ssize_t written = ::pwrite(fd, text.data(), text.size(), 0);
  if (written != size) return written < 0 ? errno : ENOSPC;
  return ::ftruncate(fd, size) == 0 ? 0 : errno;
}

// 0, EWOULDBLOCK where another process has it, or why this file cannot be locked at all. A look at
// the lease by LeaseHolder may have it for a moment.
int LockNow(int fd) {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK && errno != EINTR) return errno;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return EWOULDBLOCK;
}

[[noreturn]] void ThrowNoLocks(const std::filesystem::path& path, int error) {
  throw Failure(
      FailureCode::kDatabase,
      fmt::format("cannot lock {}: {}: this file system has no flock(2), which keeps two "
                  "`sweep`s from writing one store; put the store on another one, or mount "
                  "it with locks (Lustre: -o flock)",
                  path.string(),
                  std::strerror(error)));
}

bool IsUnlocked(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  const bool unlocked = ::flock(fd, LOCK_SH | LOCK_NB) == 0;
  ::close(fd);
  return unlocked;
}

// Of a lease's content, what is for people.
std::string HolderIn(const std::string& content) {
  return content.substr(0, content.find('\n'));
}

}  // namespace

Lease::Lease(const std::filesystem::path& store) : path_(store / "lease"), token_(RandomToken()) {
  fd_ = ::open(path_.c_str(),
               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
               0644);
  if (fd_ < 0) ThrowFileError("cannot open", path_, errno);
  if (const int error = LockNow(fd_); error != 0) {
    ::close(fd_);
    if (error != EWOULDBLOCK) ThrowNoLocks(path_, error);
    const std::string holder = HolderIn(ReadFile(path_));
    throw Failure(
        FailureCode::kStoreHeld,
        fmt::format("{} is held by {}; wait for it to end or stop it (its finished runs are safe)",
                    store.string(),
                    holder.empty() ? "another process" : holder));
  }
  since_ = fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(std::time(nullptr)));
  write_error_ = Overwrite(fd_, Text());
}

Lease::~Lease() {
  // Nobody's any more, for those who only look; unless it is somebody else's.
  if (IsHeld()) (void)!::ftruncate(fd_, 0);
  ::close(fd_);
}

std::string Lease::Text() const {
  return fmt::format(
      "process {} on {} since {}\ntoken {}\n", ::getpid(), HostName(), since_, token_);
}

bool Lease::IsHeld() const {
  try {
    return ReadFile(path_) == Text();
  } catch (const Failure&) {
    return false;
  }
}

void Lease::RequireHeld() const {
  if (write_error_ != 0) ThrowFileError("cannot write", path_, write_error_);
  if (IsHeld()) return;
  throw Failure(
      FailureCode::kStoreHeld,
      fmt::format("{} is no longer held by this process: its lock was lost and {} has taken "
                  "it over; nothing more is written to it",
                  path_.parent_path().string(),
                  LeaseHolder(path_.parent_path()).value_or("another one")));
}

std::optional<std::string> LeaseHolder(const std::filesystem::path& store) {
  if (!std::filesystem::exists(store / "lease")) return std::nullopt;
  const std::string holder = HolderIn(ReadFile(store / "lease"));
  if (holder.empty()) return std::nullopt;
  std::istringstream words(holder);
  std::string process, on, host;
  pid_t pid = 0;
  words >> process >> pid >> on >> host;
  const bool died =
      host == HostName() ? ::kill(pid, 0) != 0 && errno == ESRCH : IsUnlocked(store / "lease");
  return died ? std::nullopt : std::optional(holder);
}

}  // namespace sweep
