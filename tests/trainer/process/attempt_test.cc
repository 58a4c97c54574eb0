#include <fcntl.h>
#include <sys/file.h>

#include <catch2/catch.hpp>

#include "tests/trainer/process/trainer_process.h"

namespace sweep {

TEST_CASE("An attempt leaves a result, both evaluations and events in order") {
  TestRun run;
  run.AddEvaluation("zeroshot_classification", 50, 128);
  run.AddEvaluation("zeroshot_retrieval", 20, 128);
  REQUIRE(run.RunAttempt() == 0);
  const auto result = ReadResult(run.directory);
  REQUIRE(result);
  CHECK(result->outcome == "completed");
  CHECK(result->samples_seen == 128);
  CHECK(result->train_seconds > 0);
  for (const EvaluationRequest& asked : run.request.evaluations) {
    const auto made = ReadEvaluationResult(run.directory.evaluation(asked.eval_id));
    CHECK(made.spec == asked.spec);
    CHECK(made.metrics.size() == (asked.spec.size == 50 ? 4 : 6));
  }
  int64_t seq = 0;
  for (const Json& event : run.Events()) CHECK(event.at("seq") == ++seq);
  CHECK(run.LastEvent("step").at("samples_seen") == 128);
}

TEST_CASE("A second attempt makes only the evaluations that are missing") {
  TestRun run;
  REQUIRE(run.RunAttempt() == 0);
  const std::string result = ReadFile(run.directory.result());
  run.AddEvaluation("zeroshot_classification", 50, 128);
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.LastEvent("step").is_null());
  CHECK(run.LastEvent("evaluation").at("eval_dataset") == "zeroshot_classification");
  CHECK(ReadFile(run.directory.result()) == result);
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.Events().empty());
}

TEST_CASE("A loss that is not finite ends as diverged, with exit code 0 and no checkpoint of it") {
  TestRun run([](RunSpec& spec) { spec.optimizer.learning_rate = 1e30; });
  run.AddEvaluation("zeroshot_classification", 50, 128);
  REQUIRE(run.RunAttempt() == 0);
  const auto result = ReadResult(run.directory);
  REQUIRE(result);
  CHECK(result->outcome == "diverged");
  CHECK(result->samples_seen < 128);
  CHECK(result->checkpoint.empty());
  CHECK_FALSE(
      std::filesystem::exists(run.directory.evaluation(run.request.evaluations.front().eval_id)));
}

TEST_CASE("Missing data fails with code 6 and names the package") {
  TestRun run;
  run.request.locations[run.spec.data.content] = "/nonexistent";
  CHECK(run.RunAttempt() == 6);
  CHECK_THAT(run.Stderr(), Catch::Contains("apt-get install dataset-fashion-mnist"));
  CHECK(run.LastEvent("failure").at("class") == "data");
}

TEST_CASE("Data with other bytes than its content id says is refused") {
  TestRun run([](RunSpec& spec) { spec.data.content = std::string(32, '0'); });
  run.request.locations[std::string(32, '0')] = run.request.locations.begin()->second;
  CHECK(run.RunAttempt() == 6);
}

TEST_CASE("A spec that was changed after it was written is refused with code 2") {
  TestRun run;
  Json spec = ReadJsonFile(run.directory.spec().string());
  spec["spec"]["seed"] = 5;
  WriteFileAtomic(run.directory.spec(), spec.dump());
  CHECK(run.RunAttempt() == 2);
  CHECK(run.LastEvent("failure").at("class") == "bad_spec");
}

TEST_CASE("A run that another trainer holds is left alone") {
  TestRun run;
  const int held = ::open(run.directory.lock().c_str(), O_RDWR | O_CREAT, 0644);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  CHECK(run.RunAttempt() == 5);
  CHECK(run.Events().empty());
  ::close(held);
}

TEST_CASE("A run that another trainer holds for a while is waited for") {
  TestRun run;
  run.request.lock_wait_seconds = 60;
  const int held = ::open(run.directory.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  const pid_t child = run.Start();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(run.Events().empty());
  ::close(held);
  CHECK(TestRun::Wait(child) == 0);
  CHECK(ReadResult(run.directory));
}

TEST_CASE("A child run starts from its parent's weights with a new optimizer") {
  TestRun parent;
  REQUIRE(parent.RunAttempt() == 0);
  const auto folder = parent.directory.root() / ReadResult(parent.directory)->checkpoint;
  TestRun child([&](RunSpec& spec) {
    spec.start.run_id = parent.request.run_id;
    spec.start.samples_seen = 128;
    spec.samples_seen = 8;
    spec.optimizer.learning_rate = 1e-12;
  });
  child.request.locations[parent.request.run_id] = folder.string();
  REQUIRE(child.RunAttempt() == 0);
  TestRun scratch([](RunSpec& spec) { spec.samples_seen = 8; });
  REQUIRE(scratch.RunAttempt() == 0);
  CHECK(*ReadResult(child.directory)->final_loss < *ReadResult(scratch.directory)->final_loss);
  child.request.locations[parent.request.run_id] = scratch.directory.root().string();
  std::filesystem::remove_all(child.directory.checkpoints(1));
  std::filesystem::remove(child.directory.result());
  CHECK(child.RunAttempt() == 6);
}

TEST_CASE("Micro-batches and recomputation change a run's loss by rounding only") {
  TestRun whole;
  REQUIRE(whole.RunAttempt() == 0);
  TestRun pieces;
  pieces.request.micro_batch = 3;
  pieces.request.recompute = "blocks";
  REQUIRE(pieces.RunAttempt() == 0);
  CHECK(*ReadResult(pieces.directory)->final_loss ==
        Approx(*ReadResult(whole.directory)->final_loss).epsilon(1e-4));
  TestRun unknown;
  unknown.request.recompute = "some";
  CHECK(unknown.RunAttempt() == 2);
}

TEST_CASE("bf16 trains, and checkpoints hold fp32 masters") {
  TestRun run([](RunSpec& spec) { spec.precision = "bf16"; });
  REQUIRE(run.RunAttempt() == 0);
  CHECK(run.FinalFile("model.safetensors").find("BF16") == std::string::npos);
  CHECK(*ReadResult(run.directory)->final_loss < 3);
}

}  // namespace sweep
