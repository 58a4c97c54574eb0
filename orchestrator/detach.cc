#include "orchestrator/detach.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "core/failure.h"
#include "core/files.h"
#include "core/provenance.h"
#include "db/lease.h"
#include "db/store_layout.h"

extern char** environ;

namespace sweep {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);

std::vector<std::string> WordsWithoutDetach() {
  std::vector<std::string> words;
  for (const Json& word : CommandLine()) {
    if (word != "--detach") words.push_back(word);
  }
  return words;
}

int Spawn(std::vector<std::string> words, const std::filesystem::path& log) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(
      &files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  ::posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  int pid = 0;
  const int error =
      ::posix_spawn(&pid, "/proc/self/exe", &files, &attributes, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("cannot start {} detached, with its output in {}: {}",
                              words.front(),
                              log.string(),
                              std::strerror(error)));
  }
  return pid;
}

bool HoldsStore(int pid, const std::filesystem::path& store) {
  const std::optional<std::string> holder = LeaseHolder(store);
  return holder && holder->starts_with(fmt::format("process {} ", pid));
}

}  // namespace

Detached StartDetached(const std::filesystem::path& store) {
  RequireOwnLayout(store);
  MakeDirectories(store / "logs");
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  Detached detached;
  detached.log = std::filesystem::absolute(store) / "logs" /
                 fmt::format("run-{:%Y%m%d-%H%M%S}-{}.log",
                             fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                             ::getpid());
  detached.pid = Spawn(WordsWithoutDetach(), detached.log);
  int status = 0;
  while (!HoldsStore(detached.pid, store)) {
    if (::waitpid(detached.pid, &status, WNOHANG) == detached.pid) {
      detached.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    std::this_thread::sleep_for(kLook);
  }
  return detached;
}

}  // namespace sweep
