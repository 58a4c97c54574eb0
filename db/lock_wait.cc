#include "db/lock_wait.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "core/output.h"

namespace sweep {
namespace {

std::atomic<bool> stopped{false};

// As /proc/locks names the file: "08:01:4711".
std::string LockedFile(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{:02x}:{:02x}:{}", major(info.st_dev), minor(info.st_dev), info.st_ino);
}

std::string NameOfProcess(int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return fmt::format("process {}{}", pid, name.empty() ? "" : " (" + name + ")");
}

// Asking the file itself would be simpler, but to close it drops this process's own locks on it.
// Of "1: POSIX ADVISORY WRITE 812 08:01:4711 120 120". Readers that lock nothing out hold READ
// locks, so a WRITE lock goes before one of these.
std::string HolderOf(const std::filesystem::path& database) {
  const std::string data = LockedFile(database);
  const std::string shared = LockedFile(database.string() + "-shm");
  std::string reader;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, access, file;
    int64_t pid = 0;
    if (!(words >> number >> kind >> mode >> access >> pid >> file) || number == "->") continue;
    if (pid <= 0 || pid == ::getpid() || file.empty() || (file != data && file != shared)) continue;
    if (access == "WRITE") return NameOfProcess(pid);
    reader = NameOfProcess(pid);
  }
  return reader.empty() ? "another program" : reader;
}

class Wait {
 public:
  // SQLite asks again and again; `tries` is 0 at the first time.
  bool GoOn(const std::filesystem::path& database, int tries) {
    if (tries == 0) next_word_ = Clock::now() + kFirstWord;
    if (stopped) return false;
    if (Clock::now() >= next_word_) {
      Tell("{} is locked by {}: waiting for it to end\n", database.string(), HolderOf(database));
      next_word_ = Clock::now() + kNextWord;
    }
    std::this_thread::sleep_for(std::min(kMostSleep, kLeastSleep * (tries + 1)));
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kFirstWord = std::chrono::seconds(2);
  static constexpr auto kNextWord = std::chrono::seconds(10);
  static constexpr std::chrono::milliseconds kLeastSleep{1};
  static constexpr std::chrono::milliseconds kMostSleep{50};
  Clock::time_point next_word_ = Clock::now();
};

int OnBusy(void* path, int tries) {
  static thread_local Wait wait;
  return wait.GoOn(*static_cast<const std::filesystem::path*>(path), tries) ? 1 : 0;
}

}  // namespace

void WaitForLocks(SQLite::Database& database, const std::filesystem::path& path) {
  ::sqlite3_busy_handler(
      database.getHandle(), OnBusy, const_cast<std::filesystem::path*>(&path));  // only read
}

void StopWaitingForLocks(bool stop) noexcept {
  stopped = stop;
}

bool HaveStoppedWaiting() noexcept {
  return stopped;
}

}  // namespace sweep
