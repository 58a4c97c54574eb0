// Data that never comes, as from a file system that hangs: the threads that load it are held by
// ptrace, and the program is asked to stop.
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>

#include "tests/trainer/process/trainer_process.h"

namespace sweep {
namespace {

// The thread that takes the signals: a file system that hangs does not hold it.
bool WaitsForSignals(const std::filesystem::path& task) {
  long call = -1;
  std::ifstream(task / "syscall") >> call;
  return call == SYS_rt_sigtimedwait;
}

// All threads of a process but its first and the one that takes its signals, stopped until it ends.
// None where ptrace is forbidden.
std::vector<pid_t> HoldOtherThreads(pid_t process) {
  std::vector<pid_t> held;
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& entry : std::filesystem::directory_iterator(tasks)) {
    const pid_t thread = std::stoi(entry.path().filename());
    if (thread == process || WaitsForSignals(entry.path())) continue;
    if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) continue;
    ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
    int status = 0;
    ::waitpid(thread, &status, __WALL);
    held.push_back(thread);
  }
  return held;
}

}  // namespace

TEST_CASE("SIGTERM ends a run whose data does not come, after a checkpoint") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 1'000'000; });
  const pid_t child = run.Start();
  REQUIRE(run.AwaitEvent(child, [](const Json& event) { return event.at("type") == "step"; }));
  const std::vector<pid_t> held = HoldOtherThreads(child);
  if (held.empty()) {
    ::kill(child, SIGKILL);
    (void)TestRun::Wait(child);
    WARN("ptrace is not permitted: skipped");
    return;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // what was loaded is used up
  ::kill(child, SIGTERM);
  for (const pid_t thread : held) {
    int status = 0;
    ::waitpid(thread, &status, __WALL);
  }
  CHECK(TestRun::Wait(child) == 130);
  const Json failure = run.LastEvent("failure");
  CHECK(failure.at("class") == "interrupted");
  CHECK_THAT(failure.at("message").get<std::string>(), Catch::Contains("waiting for data"));
  CHECK(run.LastEvent("checkpoint").at("samples_seen") > 0);
}

}  // namespace sweep
