#include "orchestrator/local_executor.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <thread>

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

AttemptJob Named(AttemptJob job, const std::string& run_id) {
  job.run_id = run_id;
  return job;
}

// What it has written so far.
std::string OutputIn(const TemporaryDirectory& directory) {
  const std::filesystem::path out = directory.path() / "out";
  return std::filesystem::exists(out) ? ReadFile(out) : "";
}

// The next so many news of the kind; what comes before them is lost.
std::vector<AttemptNews> WaitFor(LocalExecutor& executor, AttemptNews::Kind kind, size_t count) {
  std::vector<AttemptNews> found;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (found.size() < count) {
    REQUIRE(std::chrono::steady_clock::now() < give_up);
    for (const AttemptNews& news : executor.Poll(std::chrono::seconds(10))) {
      if (news.kind == kind) found.push_back(news);
    }
  }
  return found;
}

AttemptNews WaitForEnd(LocalExecutor& executor) {
  return WaitFor(executor, AttemptNews::Kind::kEnded, 1).front();
}

}  // namespace

TEST_CASE("LocalExecutor reports exit codes and keeps the output") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  executor.Start(Shell(directory, "echo out; echo err >&2; exit 3"));
  CHECK(executor.Room() == 0);
  const AttemptNews exit = WaitForEnd(executor);
  CHECK(exit.exit_code == 3);
  CHECK(executor.Room() >= 1);
  CHECK(ReadFile(directory.path() / "out") == "out\n");
  CHECK(ReadFile(directory.path() / "err") == "err\n");
}

TEST_CASE("LocalExecutor reports the signal that killed a child") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  executor.Start(Shell(directory, "kill -9 $$"));
  CHECK(WaitForEnd(executor).signal == SIGKILL);
}

TEST_CASE("Stop asks a child to end and it may save first") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  executor.Start(Shell(
      directory, "trap 'echo saved; exit 130' TERM; echo ready; while :; do read -t 1 x; done"));
  while (OutputIn(directory) != "ready\n") (void)executor.Poll(std::chrono::milliseconds(5));
  executor.Stop(Executor::StopMode::kCheckpoint);
  CHECK(WaitForEnd(executor).exit_code == 130);
  CHECK(ReadFile(directory.path() / "out") == "ready\nsaved\n");
}

TEST_CASE("An attempt has ended when the trainer that its program left at work has") {
  const TemporaryDirectory directory;
  const std::string trainer =
      "trap 'sleep 0.3; echo saved; exit 130' TERM; echo ready; while :; do sleep 0.05; done";
  for (const std::string launcher : {"", "setsid "}) {
    const std::string script =
        launcher + "sh -c \"" + trainer + "\" & while ! [ -s out ]; do sleep 0.01; done; kill -9 $$";
    std::filesystem::remove(directory.path() / "out");
    LocalExecutor executor(1);
    executor.Start(Shell(directory, "cd '" + directory.path().string() + "'; " + script));
    CHECK(WaitForEnd(executor).signal == SIGKILL);
    CHECK(OutputIn(directory) == "ready\nsaved\n");
  }
}

TEST_CASE("Stop is heard once by a trainer whose program ends at once") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "trainer")
      << "trap 'echo heard; left=5' TERM\nleft=1000\necho ready\n"
         "while [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done\necho saved\n";
  LocalExecutor executor(1);
  executor.Start(Shell(directory, "sh '" + (directory.path() / "trainer").string() + "'; exit $?"));
  while (OutputIn(directory) != "ready\n") (void)executor.Poll(std::chrono::milliseconds(5));
  executor.Stop(Executor::StopMode::kCheckpoint);
  CHECK(WaitForEnd(executor).signal == SIGTERM);
  CHECK(OutputIn(directory) == "ready\nheard\nsaved\n");
}

TEST_CASE("A program that leaves something of no run at work keeps nobody waiting") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  const auto begin = std::chrono::steady_clock::now();
  executor.Start(Shell(directory, "sleep 60 & exit 0"));
  CHECK(WaitForEnd(executor).exit_code == 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("A command that does not exist is an error that names it") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  AttemptJob job = Shell(directory, "");
  job.argv = {"/nonexistent/trainer"};
  (void)executor.Start(job);
  CHECK_THROWS_WITH(WaitForEnd(executor), Catch::Contains("/nonexistent/trainer"));
  CHECK(executor.running() == 0);
}

TEST_CASE("News of a start comes before that of the end and names the process") {
  const TemporaryDirectory directory;
  const std::filesystem::path seen = directory.path() / "seen";
  LocalExecutor executor(1);
  (void)executor.Start(
      Shell(directory, "echo $$; while ! [ -e '" + seen.string() + "' ]; do sleep 0.01; done"));
  const AttemptNews start = WaitFor(executor, AttemptNews::Kind::kRunning, 1).front();
  CHECK(start.detail == "process " + std::to_string(start.handle.pid));
  std::ofstream(seen) << "";  // or one look might have brought both news
  (void)WaitForEnd(executor);
  CHECK(ReadFile(directory.path() / "out") == std::to_string(start.handle.pid) + "\n");
}

TEST_CASE("The next attempt starts when one ends, whoever is busy meanwhile") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  for (const char* run : {"a", "b"})
    (void)executor.Start(Named(Shell(directory, std::string("echo ") + run), run));
  while (OutputIn(directory) != "a\nb\n")  // nobody asks for news
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(WaitFor(executor, AttemptNews::Kind::kEnded, 2)[1].run_id == "b");
}

TEST_CASE("More attempts than slots are taken in only while attempts end fast") {
  const TemporaryDirectory directory;
  LocalExecutor executor(2);
  CHECK(executor.Room() == 2);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto in_time = [&] { return std::chrono::steady_clock::now() < give_up; };
  do {  // a loaded machine may take too long for a pair once
    for (const char* run : {"a", "b"}) (void)executor.Start(Named(Shell(directory, "exit 0"), run));
    (void)WaitFor(executor, AttemptNews::Kind::kEnded, 2);
  } while (executor.Room() == 2 && in_time());
  CHECK(in_time());
  while (executor.Room() > 2 && in_time())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(executor.Room() == 2);
}

TEST_CASE("Stop takes back what waits and ends what runs") {
  const TemporaryDirectory directory;
  LocalExecutor executor(1);
  (void)executor.Start(Named(Shell(directory, "exec sleep 60"), "runs"));
  (void)executor.Start(Named(Shell(directory, "echo started"), "waits"));
  (void)WaitFor(executor, AttemptNews::Kind::kRunning, 1);
  executor.Stop(Executor::StopMode::kKill);
  std::map<std::string, AttemptNews> news;
  while (news.size() < 2) {
    for (const AttemptNews& item : executor.Poll(std::chrono::seconds(10)))
      news[item.run_id] = item;
  }
  CHECK(news.at("waits").kind == AttemptNews::Kind::kDropped);
  CHECK(news.at("runs").signal == SIGKILL);
  CHECK(ReadFile(directory.path() / "out").empty());
}

}  // namespace sweep
