#include "db/lease.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <sstream>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

Lease::Lease(const std::filesystem::path& store) {
  const std::filesystem::path path = store / "lease";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowFileError("cannot open", path, errno);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    std::string holder = ReadFile(path);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    throw Failure(
        FailureCode::kStoreHeld,
        fmt::format("{} is held by {}; wait for it to end or stop it (its finished runs are safe)",
                    store.string(),
                    holder.empty() ? "another process" : holder));
  }
  const std::string text = fmt::format("process {} on {} since {:%Y-%m-%d %H:%M:%S}\n",
                                       ::getpid(),
                                       HostName(),
                                       fmt::localtime(std::time(nullptr)));
  // Advice for people; the lock itself is what counts, so a failed write changes nothing.
  if (::ftruncate(fd_, 0) == 0) (void)!::pwrite(fd_, text.data(), text.size(), 0);
}

Lease::~Lease() {
  if (fd_ < 0) return;
  (void)!::ftruncate(fd_, 0);  // nobody's any more, for those who only look
  ::close(fd_);
}

std::optional<std::string> LeaseHolder(const std::filesystem::path& store) {
  if (!std::filesystem::exists(store / "lease")) return std::nullopt;
  std::string holder = ReadFile(store / "lease");
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  if (holder.empty()) return std::nullopt;
  std::istringstream words(holder);
  std::string process, on, host;
  pid_t pid = 0;
  words >> process >> pid >> on >> host;
  const bool died_here = host == HostName() && ::kill(pid, 0) != 0 && errno == ESRCH;
  return died_here ? std::nullopt : std::optional(holder);
}

}  // namespace sweep
