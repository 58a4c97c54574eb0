// Several real processes that train one model.
#include <signal.h>

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
  CHECK(run.LastEvent("failure").at("class") == "error");
  CHECK_FALSE(ReadResult(run.directory));
  run.request.processes = 2;
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.LastEvent("started").contains("resumed_from"));
  CHECK(LossDifference(run, one) < 1e-2);
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
