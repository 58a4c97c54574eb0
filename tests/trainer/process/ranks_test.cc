// Several real processes that train one model.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include <cstring>
#include <sstream>

#include "tests/trainer/process/trainer_process.h"
#include "trainer/safetensors.h"

namespace sweep {
namespace {

std::vector<float> Values(const TestRun& run, const std::string& file, const std::string& tensor) {
  const auto folder = run.directory.root() / ReadResult(run.directory)->checkpoint;
  const SafetensorsFile content(folder / file);
  const std::string_view bytes = content.Get(tensor).bytes;
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

double MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return largest;
}

double LossDifference(const TestRun& a, const TestRun& b) {
  return MaxDifference(Values(a, "history.safetensors", "loss"),
                       Values(b, "history.safetensors", "loss"));
}

std::string BytesOf(const TestRun& run) {
  return run.FinalFile("history.safetensors") + run.FinalFile("model.safetensors") +
         run.FinalFile("optimizer.safetensors");
}

int64_t CountEvents(const TestRun& run, const std::string& type) {
  const std::vector<Json> events = run.Events();
  return std::ranges::count_if(events, [&](const Json& e) { return e.at("type") == type; });
}

// Starts an attempt and kills it after a checkpoint at so many samples or later.
void RunUntilCheckpoint(TestRun& run, int64_t samples) {
  const pid_t child = run.Start();
  REQUIRE(run.AwaitEvent(child, [&](const Json& e) {
    return e.at("type") == "checkpoint" && e.at("samples_seen") >= samples;
  }));
  ::kill(child, SIGKILL);
  (void)TestRun::Wait(child);
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  const std::string path =
      "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
  std::istringstream text(ReadFile(path));
  std::vector<pid_t> children;
  for (pid_t child = 0; text >> child;) children.push_back(child);
  return children;
}

}  // namespace

TEST_CASE("Two and four processes train as one, whatever else the step does") {
  const std::vector<std::function<void(RunSpec&)>> changes = {
      [](RunSpec&) {},
      [](RunSpec& spec) { spec.model.loss = "sigmoid"; },
      [](RunSpec& spec) {
        spec.reduction.patch_dropout = 0.5;
        spec.optimizer.name = "lamb";
        spec.optimizer.grad_clip_norm = 1;
      }};
  for (size_t i = 0; i < changes.size(); ++i) {
    TestRun one(changes[i]);
    REQUIRE(one.RunAttempt() == 0);
    for (const int64_t processes : {2, 4}) {
      TestRun several(changes[i]);
      several.request.processes = processes;
      several.request.micro_batch = processes == 2 ? 3 : 0;
      INFO("change " << i << ", processes " << processes);
      REQUIRE(several.RunAttempt() == 0);
      CHECK(several.LastEvent("started").at("processes") == processes);
      CHECK(LossDifference(several, one) < 1e-4);
      CHECK(MaxDifference(Values(several, "model.safetensors", "visual.proj"),
                          Values(one, "model.safetensors", "visual.proj")) < 1e-3);
    }
  }
}

TEST_CASE("A process that dies ends the others, and the run goes on with another number of them") {
  const auto longer = [](RunSpec& spec) { spec.samples_seen = 8 * 400; };
  TestRun one(longer);
  REQUIRE(one.RunAttempt() == 0);
  TestRun run(longer);
  run.request.processes = 4;
  run.request.checkpoint_every_seconds = 1e-3;
  const pid_t leader = run.Start();
  REQUIRE(run.AwaitEvent(leader, [](const Json& e) { return e.at("type") == "checkpoint"; }));
  const std::vector<pid_t> others = ChildrenOf(leader);
  REQUIRE(others.size() == 3);
  REQUIRE(::kill(others[1], SIGKILL) == 0);
  CHECK(TestRun::Wait(leader) != 0);
  CHECK(run.LastEvent("failure").at("class") == "crashed");
  CHECK_FALSE(ReadResult(run.directory));
  run.request.processes = 2;
  run.request.checkpoint_every_seconds = 300;
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.LastEvent("started").contains("resumed_from"));
  CHECK(LossDifference(run, one) < 1e-2);
}

TEST_CASE("Two processes leave the same checkpoint, byte by byte, whatever they share out",
          "[sharding]") {
  TestRun whole;
  whole.request.processes = 2;
  REQUIRE(whole.RunAttempt() == 0);
  for (const std::string sharding : {"optimizer", "weights"}) {
    TestRun sharded;
    sharded.request.processes = 2;
    sharded.request.sharding = sharding;
    INFO(sharding);
    REQUIRE(sharded.RunAttempt() == 0);
    CHECK(sharded.LastEvent("started").at("sharding") == sharding);
    CHECK(BytesOf(sharded) == BytesOf(whole));
  }
  TestRun unknown;
  unknown.request.sharding = "some";
  CHECK(unknown.RunAttempt() == 2);
}

TEST_CASE("A sharded run that is killed goes on with the undisturbed bytes", "[sharding]") {
  const auto lamb = [](RunSpec& spec) {
    spec.optimizer.name = "lamb";
    spec.optimizer.grad_clip_norm = 1;
  };
  for (const std::string sharding : {"none", "optimizer", "weights"}) {
    INFO(sharding);
    TestRun undisturbed(lamb), killed(lamb);
    for (TestRun* run : {&undisturbed, &killed}) {
      run->request.processes = 4;
      run->request.sharding = sharding;
    }
    REQUIRE(undisturbed.RunAttempt() == 0);
    killed.request.checkpoint_every_seconds = 0;
    RunUntilCheckpoint(killed, 40);
    REQUIRE(killed.RunAttempt() == 0);
    CHECK(killed.LastEvent("started").at("resumed_from") >= 40);
    CHECK(BytesOf(killed) == BytesOf(undisturbed));
  }
}

TEST_CASE("A run goes on in any number of processes, whatever they share out", "[sharding]") {
  struct Part {
    int64_t processes;
    std::string sharding;
  };
  TestRun one;
  REQUIRE(one.RunAttempt() == 0);
  TestRun run;
  run.request.checkpoint_every_seconds = 0;
  int64_t samples = 0;
  for (const Part& part : {Part{4, "weights"}, {2, "optimizer"}, {1, "none"}, {2, "weights"}}) {
    run.request.processes = part.processes;
    run.request.sharding = part.sharding;
    RunUntilCheckpoint(run, samples += 16);
  }
  run.request.processes = 4;
  run.request.sharding = "optimizer";
  REQUIRE(run.RunAttempt() == 0);
  CHECK(LossDifference(run, one) < 1e-4);
}

TEST_CASE("A sharded run ends with any of its processes, and goes on", "[sharding]") {
  const auto longer = [](RunSpec& spec) { spec.samples_seen = 8 * 400; };
  for (const std::string sharding : {"optimizer", "weights"}) {
    TestRun run(longer);
    run.request.processes = 4;
    run.request.sharding = sharding;
    run.request.checkpoint_every_seconds = 1e-3;
    const pid_t leader = run.Start();
    REQUIRE(run.AwaitEvent(leader, [](const Json& e) { return e.at("type") == "checkpoint"; }));
    const std::vector<pid_t> others = ChildrenOf(leader);
    REQUIRE(others.size() == 3);
    REQUIRE(::kill(others[2], SIGKILL) == 0);
    INFO(sharding);
    CHECK(TestRun::Wait(leader) != 0);
    for (const pid_t other : others) CHECK(::kill(other, 0) != 0);
    CHECK(run.LastEvent("failure").at("class") == "crashed");
    run.request.processes = 2;
    run.request.checkpoint_every_seconds = 300;
    REQUIRE(run.RunAttempt() == 0);
    CHECK(run.LastEvent("started").contains("resumed_from"));
  }
}

TEST_CASE("Processes with sharded gradients agree on overflows and unstable steps", "[sharding]") {
  const auto fp16 = [](RunSpec& spec) {
    spec.precision = "fp16";
    spec.samples_seen = 8 * 24;
  };
  const auto wild = [](RunSpec& spec) {
    spec.optimizer.learning_rate = 1e30;
    spec.instability = {.reaction = "skip", .limit = 3};
  };
  TestRun one(fp16);
  REQUIRE(one.RunAttempt() == 0);
  REQUIRE(CountEvents(one, "loss_scale") > 0);
  for (const std::string sharding : {"optimizer", "weights"}) {
    INFO(sharding);
    TestRun several(fp16), diverging(wild);
    for (TestRun* run : {&several, &diverging}) {
      run->request.processes = 4;
      run->request.sharding = sharding;
      REQUIRE(run->RunAttempt() == 0);
    }
    CHECK(CountEvents(several, "loss_scale") == CountEvents(one, "loss_scale"));
    CHECK(LossDifference(several, one) < 0.1);
    CHECK(ReadResult(diverging.directory)->outcome == "diverged");
    CHECK(CountEvents(diverging, "unstable_step") == 4);
  }
}

TEST_CASE("A signal stops all processes after the same step, with a checkpoint") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 100'000; });
  run.request.processes = 2;
  const pid_t leader = run.Start();
  REQUIRE(run.AwaitEvent(leader, [](const Json& e) { return e.at("type") == "step"; }));
  const std::vector<pid_t> others = ChildrenOf(leader);
  REQUIRE(others.size() == 1);
  ::kill(leader, SIGTERM);
  CHECK(TestRun::Wait(leader) == 130);
  CHECK(run.LastEvent("checkpoint").at("samples_seen") > 0);
  CHECK(::kill(others[0], 0) != 0);
}

TEST_CASE("A batch that the processes cannot share is refused") {
  TestRun run;
  run.request.processes = 3;
  CHECK(run.RunAttempt() == 2);
  CHECK_THAT(run.Stderr(), Catch::Contains("a divisor of the global_batch_size, 8"));
}

}  // namespace sweep
