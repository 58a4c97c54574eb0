// Steps that go wrong for real: a rate that diverges, gradients that stand out, fp16 that
// overflows.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/trainer/process/trainer_process.h"

namespace sweep {
namespace {

int64_t CountEvents(const TestRun& run, const std::string& type) {
  const std::vector<Json> events = run.Events();
  return std::ranges::count_if(events, [&](const Json& e) { return e.at("type") == type; });
}

// Batches of eight are noisy enough that some gradients stand out by four deviations.
std::function<void(RunSpec&)> Spiky(const std::string& reaction) {
  return [reaction](RunSpec& spec) {
    spec.samples_seen = 8 * 96;
    spec.instability = {
        .reaction = reaction, .spike_threshold = 4, .rewind_steps = 16, .limit = 50};
  };
}

std::string BytesOf(const TestRun& run) {
  return run.FinalFile("history.safetensors") + run.FinalFile("model.safetensors") +
         run.FinalFile("optimizer.safetensors");
}

// Kills a run again and again, and lets it end.
void RunWithKills(TestRun& run) {
  run.request.checkpoint_every_seconds = 0;
  for (const int64_t samples : {200, 336, 480, 600, 720}) {
    const pid_t child = run.Start();
    const bool there = run.AwaitEvent(child, [&](const Json& event) {
      return event.at("type") == "checkpoint" && event.at("samples_seen") >= samples;
    });
    if (there) ::kill(child, SIGKILL);
    (void)TestRun::Wait(child);
  }
  REQUIRE(run.RunAttempt() == 0);
}

}  // namespace

TEST_CASE("Skipping leaves the weights alone and gives up after too many steps in a row") {
  TestRun run([](RunSpec& spec) {
    spec.optimizer.learning_rate = 1e30;
    spec.instability = {.reaction = "skip", .limit = 3};
  });
  REQUIRE(run.RunAttempt() == 0);
  const auto result = ReadResult(run.directory);
  CHECK(result->outcome == "diverged");
  CHECK_THAT(result->message, Catch::Contains("not_finite"));
  CHECK(CountEvents(run, "unstable_step") == 4);
  CHECK(run.LastEvent("unstable_step").at("reaction") == "skip");
}

TEST_CASE("A run that diverges wherever it goes on is given up after the limit of rewinds") {
  TestRun run([](RunSpec& spec) {
    spec.optimizer.learning_rate = 1e30;
    spec.instability = {.reaction = "rewind", .limit = 2};
  });
  REQUIRE(run.RunAttempt() == 0);
  CHECK(ReadResult(run.directory)->outcome == "diverged");
  CHECK(CountEvents(run, "rewound") == 2);
  CHECK(run.LastEvent("rewound").at("step") == 0);
  CHECK(run.LastEvent("rewound").at("skipped_batches") >= 4);
}

TEST_CASE("Spikes are skipped or rewound, and a killed run ends with the undisturbed bytes") {
  for (const std::string reaction : {"skip", "rewind"}) {
    TestRun undisturbed(Spiky(reaction));
    REQUIRE(undisturbed.RunAttempt() == 0);
    INFO(reaction);
    CHECK(ReadResult(undisturbed.directory)->outcome == "completed");
    CHECK(CountEvents(undisturbed, "unstable_step") >= 2);
    CHECK(CountEvents(undisturbed, "rewound") ==
          (reaction == "rewind" ? CountEvents(undisturbed, "unstable_step") : 0));
    TestRun killed(Spiky(reaction));
    RunWithKills(killed);
    CHECK(BytesOf(killed) == BytesOf(undisturbed));
    TestRun stable([](RunSpec& spec) { spec.samples_seen = 8 * 96; });
    REQUIRE(stable.RunAttempt() == 0);
    CHECK(BytesOf(stable) != BytesOf(undisturbed));
  }
}

TEST_CASE("fp16 trains near fp32, halves its loss scale on overflow and resumes with it") {
  const auto longer = [](RunSpec& spec) { spec.samples_seen = 8 * 96; };
  const auto fp16 = [&](RunSpec& spec) {
    longer(spec);
    spec.precision = "fp16";
  };
  TestRun undisturbed(fp16);
  REQUIRE(undisturbed.RunAttempt() == 0);
  TestRun fp32(longer);
  REQUIRE(fp32.RunAttempt() == 0);
  const int64_t overflows = CountEvents(undisturbed, "loss_scale");
  CHECK(overflows > 0);
  CHECK(overflows <= 8);  // from 2^16 down to what these gradients bear
  CHECK(*ReadResult(undisturbed.directory)->final_loss ==
        Approx(*ReadResult(fp32.directory)->final_loss).epsilon(0.1));  // less those steps
  TestRun killed(fp16);
  killed.request.checkpoint_every_seconds = 0;
  const pid_t child = killed.Start();
  REQUIRE(killed.AwaitEvent(child, [](const Json& e) {
    return e.at("type") == "checkpoint" && e.at("samples_seen") >= 40;
  }));
  ::kill(child, SIGKILL);
  (void)TestRun::Wait(child);
  REQUIRE(killed.RunAttempt() == 0);
  CHECK(BytesOf(killed) == BytesOf(undisturbed));
}

TEST_CASE("tf32 is refused on a CPU") {
  TestRun run([](RunSpec& spec) { spec.precision = "tf32"; });
  CHECK(run.RunAttempt() == 2);
  CHECK_THAT(run.Stderr(), Catch::Contains("precision is tf32"));
}

}  // namespace sweep
