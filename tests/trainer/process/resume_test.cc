// The real program, really killed.
#include <catch2/catch.hpp>

#include "tests/trainer/process/trainer_process.h"

namespace sweep {
namespace {

const Outcome& Undisturbed() {
  static const Outcome outcome = [] {
    TestRun run;
    REQUIRE(run.RunAttempt() == 0);
    return OutcomeOf(run);
  }();
  return outcome;
}

bool IsCheckpointAt(const Json& event, int64_t samples_seen) {
  return event.at("type") == "checkpoint" && event.at("samples_seen") >= samples_seen;
}

}  // namespace

TEST_CASE("A run killed at any step and resumed gives the same bytes as an undisturbed one") {
  TestRun run;
  run.request.checkpoint_every_seconds = 0;
  for (const int64_t samples : {8, 24, 56, 104}) {
    const pid_t child = run.Start();
    REQUIRE(run.AwaitEvent(child, [&](const Json& e) { return IsCheckpointAt(e, samples); }));
    ::kill(child, SIGKILL);
    REQUIRE(TestRun::Wait(child) == -SIGKILL);
  }
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.LastEvent("started").at("resumed_from") >= 104);
  CHECK(OutcomeOf(run) == Undisturbed());
}

TEST_CASE("A run killed at a random step ends with the undisturbed bytes", "[random_steps]") {
  Random random(7);
  const int kills = NumberFromEnvironment("RANDOM_KILLS", 8);
  for (int kill = 0; kill < kills; ++kill) {
    TestRun run;
    run.request.checkpoint_every_seconds = 0;
    const int64_t samples = 8 * (1 + random.Below(12));
    INFO("kill " << kill << ", some time after " << samples << " samples");
    const pid_t child = run.Start();
    REQUIRE(run.AwaitEvent(child, [&](const Json& e) { return IsCheckpointAt(e, samples); }));
    std::this_thread::sleep_for(std::chrono::microseconds(random.Below(3000)));
    ::kill(child, SIGKILL);
    CHECK(TestRun::Wait(child) == -SIGKILL);
    REQUIRE(run.RunAttempt() == 0);
    CHECK(OutcomeOf(run) == Undisturbed());
  }
}

TEST_CASE("SIGTERM writes a checkpoint and exits with 130; the next attempt continues there") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 20000; });
  const pid_t child = run.Start();
  REQUIRE(run.AwaitEvent(child, [](const Json& e) { return e.at("type") == "step"; }));
  ::kill(child, SIGTERM);
  CHECK(TestRun::Wait(child) == 130);
  CHECK(run.LastEvent("failure").at("class") == "interrupted");
  const int64_t samples = run.LastEvent("checkpoint").at("samples_seen");
  const pid_t next = run.Start();
  REQUIRE(run.AwaitEvent(next, [](const Json& e) { return e.at("type") == "step"; }));
  ::kill(next, SIGTERM);
  CHECK(TestRun::Wait(next) == 130);
  CHECK(run.LastEvent("started").at("resumed_from") == samples);
}

TEST_CASE("SIGUSR1 writes a checkpoint and training goes on") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 20000; });
  const pid_t child = run.Start();
  REQUIRE(run.AwaitEvent(child, [](const Json& e) { return e.at("type") == "step"; }));
  ::kill(child, SIGUSR1);
  REQUIRE(run.AwaitEvent(child, [](const Json& e) { return e.at("type") == "checkpoint"; }));
  ::kill(child, SIGTERM);
  CHECK(TestRun::Wait(child) == 130);
  CHECK(run.LastEvent("checkpoint").at("seq") > 3);
}

TEST_CASE("A damaged checkpoint is passed over for the one before it, and written anew") {
  TestRun run;
  run.request.checkpoint_every_seconds = 0;
  REQUIRE(run.RunAttempt() == 0);
  std::filesystem::remove(run.directory.result());
  const auto newest = run.directory.checkpoints(1) / "000000000128";
  std::fstream(newest / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(2000)
      .put('!');
  const bool requeued = GENERATE(false, true);
  REQUIRE((requeued ? run.RequeueAttempt() : run.RunAttempt()) == 0);
  CHECK(run.LastEvent("started").at("resumed_from") == 120);
  CHECK_THAT(run.Stderr(), Catch::Contains("000000000128") && Catch::Contains("damaged"));
  CHECK(OutcomeOf(run) == Undisturbed());
}

TEST_CASE("A resumed run keeps the threads of its checkpoint") {
  TestRun run;
  REQUIRE(run.RunAttempt() == 0);
  std::filesystem::remove(run.directory.result());
  run.request.threads = 2;
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.LastEvent("started").at("threads") == 1);
}

TEST_CASE("The newest two checkpoints and those asked for are kept") {
  TestRun run;
  run.request.checkpoint_every_seconds = 0;
  run.request.keep_at = {40};
  REQUIRE(run.RunAttempt() == 0);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(run.directory.checkpoints(1)))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"000000000040", "000000000120", "000000000128"});
}

}  // namespace sweep
