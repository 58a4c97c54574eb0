#include "orchestrator/local_executor.h"

#include <catch2/catch.hpp>
#include <csignal>

#include "core/failure.h"
#include "core/files.h"
#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

AttemptJob Shell(const TemporaryDirectory& directory, const std::string& script) {
  return {"run",
          1,
          directory.path(),
          {"/bin/sh", "-c", script},
          directory.path() / "out",
          directory.path() / "err"};
}

AttemptNews WaitForOne(LocalExecutor& executor) {
  for (;;) {
    const std::vector<AttemptNews> exits = executor.Poll(std::chrono::seconds(10));
    if (!exits.empty()) return exits.front();
  }
}

}  // namespace

TEST_CASE("LocalExecutor reports exit codes and keeps the output") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  executor.Start(Shell(directory, "echo out; echo err >&2; exit 3"));
  CHECK(executor.Room() == 0);
  const AttemptNews exit = WaitForOne(executor);
  CHECK(exit.exit_code == 3);
  CHECK(executor.Room() == 1);
  CHECK(ReadFile(directory.path() / "out") == "out\n");
  CHECK(ReadFile(directory.path() / "err") == "err\n");
}

TEST_CASE("LocalExecutor reports the signal that killed a child") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  executor.Start(Shell(directory, "kill -9 $$"));
  CHECK(WaitForOne(executor).signal == SIGKILL);
}

TEST_CASE("Stop asks a child to end and it may save first") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  executor.Start(Shell(
      directory, "trap 'echo saved; exit 130' TERM; echo ready; while :; do read -t 1 x; done"));
  while (ReadFile(directory.path() / "out") != "ready\n")
    (void)executor.Poll(std::chrono::milliseconds(5));
  executor.Stop(Executor::StopMode::kCheckpoint);
  CHECK(WaitForOne(executor).exit_code == 130);
  CHECK(ReadFile(directory.path() / "out") == "ready\nsaved\n");
}

TEST_CASE("A command that does not exist is an error that names it") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  AttemptJob job = Shell(directory, "");
  job.argv = {"/nonexistent/trainer"};
  CHECK_THROWS_WITH(executor.Start(job), Catch::Contains("/nonexistent/trainer"));
  CHECK(executor.running() == 0);
}

}  // namespace sweep
