#include "orchestrator/orphans.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "core/files.h"
#include "orchestrator/launch.h"
#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

using std::chrono::seconds;

// A shell in a process group of its own, as a trainer is started. It has printed "ready".
class Shell {
 public:
  Shell(const TemporaryDirectory& folder, const std::string& script, const std::string& mark) {
    const std::filesystem::path out = folder.path() / ("out" + std::to_string(++count_));
    Launch launch{{"/bin/sh", "-c", script}, {"PATH=/usr/bin:/bin", mark}, out, out};
    sigset_t none;
    ::sigemptyset(&none);
    pid_ = launch.Start(none);
    while (ReadFile(out).find("ready") == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ~Shell() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // The signal that ended it; 0 while it works.
  [[nodiscard]] int Signal() const {
    siginfo_t info{};
    const auto id = static_cast<id_t>(pid_);
    if (::waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return 0;
    return info.si_status;
  }

 private:
  static inline int count_ = 0;
  pid_t pid_ = 0;
};

constexpr const char* kWork = "echo ready; while :; do sleep 0.05; done";

}  // namespace

TEST_CASE("Orphans that ignore SIGTERM are killed when patience ends") {
  const TemporaryDirectory folder;
  const Shell deaf(folder, std::string("trap '' TERM; ") + kWork, RunMark(folder.path()));
  std::vector<std::string> notes;
  const auto begin = std::chrono::steady_clock::now();
  EndOrphans({{"run", folder.path(), 0}}, seconds(1), notes);
  CHECK(std::chrono::steady_clock::now() - begin >= seconds(1));
  CHECK(deaf.Signal() == SIGKILL);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find(std::to_string(deaf.pid())) != std::string::npos);
}

TEST_CASE("A process id that somebody else has now is left alone, and so is another run's trainer") {
  const TemporaryDirectory folder;
  const Shell stranger(folder, kWork, "SOME=thing");
  const Shell of_another_run(folder, kWork, RunMark(folder.path() / "another"));
  std::vector<std::string> notes;
  EndOrphans({{"run-1", folder.path(), stranger.pid()}, {"run-2", folder.path(), 0}},
             seconds(1),
             notes);
  CHECK(stranger.Signal() == 0);
  CHECK(of_another_run.Signal() == 0);
  CHECK(notes.empty());
}

TEST_CASE("A group without marks is ended where one of it names the run in its command line") {
  const TemporaryDirectory folder;
  const Shell unmarked(folder, std::string(": run-0123456789; sleep 60 & ") + kWork, "SOME=thing");
  std::vector<std::string> notes;
  EndOrphans({{"run-0123456789", folder.path(), unmarked.pid()}}, seconds(5), notes);
  CHECK(unmarked.Signal() == SIGTERM);
  CHECK(notes.size() == 1);
}

}  // namespace sweep
