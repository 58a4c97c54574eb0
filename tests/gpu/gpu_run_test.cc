// The real clip_train on run folders, on a GPU.
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/gpu/gpu.h"
#include "tests/trainer/process/trainer_process.h"
#include "trainer/safetensors.h"

namespace sweep {
namespace {

// How far the losses of a resumed run may be from the undisturbed one's, in bf16: sums of atomic
// additions come in another order each time (docs/trainer.md).
constexpr double kResumeTolerance = 0.02;

struct RunOn : TestRun {
  RunOn(at::Device device, const std::string& precision)
      : TestRun([&](RunSpec& changed) {
          changed.precision = precision;
          changed.samples_seen = 8 * 64;
          changed.optimizer.grad_clip_norm = 1;
        }) {
    request.device = device.is_cpu() ? "cpu" : "cuda";
  }
};

std::vector<float> LossesOf(const TestRun& run) {
  const SafetensorsFile file(run.directory.root() / ReadResult(run.directory)->checkpoint /
                             "history.safetensors");
  const SafeTensor& stored = file.Get("loss");
  std::vector<float> losses(stored.bytes.size() / sizeof(float));
  std::memcpy(losses.data(), stored.bytes.data(), stored.bytes.size());
  return losses;
}

// Ends an attempt by a signal once it has a checkpoint of so many samples; its exit code.
int StopAt(TestRun& run, int64_t samples_seen, int signal) {
  const pid_t child = run.Start();
  const bool there = run.AwaitEvent(child, [&](const Json& event) {
    return event.at("type") == "checkpoint" && event.at("samples_seen") >= samples_seen;
  });
  if (there) ::kill(child, signal);
  return TestRun::Wait(child);
}

}  // namespace

TEST_CASE("A run on the GPU in bf16 that is killed and stopped ends near the undisturbed one") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  RunOn undisturbed(*gpu, "bf16");
  undisturbed.AddEvaluation("zeroshot_classification", 50, 8 * 64);
  REQUIRE(undisturbed.RunAttempt() == 0);
  CHECK(undisturbed.LastEvent("started").at("device") == gpu->str());
  CHECK(ReadEvaluationResult(
            undisturbed.directory.evaluation(undisturbed.request.evaluations.front().eval_id))
            .metrics.size() == 4);
  RunOn disturbed(*gpu, "bf16");
  disturbed.request.checkpoint_every_seconds = 0;
  CHECK(StopAt(disturbed, 8 * 16, SIGKILL) == -SIGKILL);
  CHECK(StopAt(disturbed, 8 * 40, SIGTERM) == 130);
  REQUIRE(disturbed.RunAttempt() == 0);
  CHECK(disturbed.LastEvent("started").at("resumed_from") >= 8 * 40);
  const std::vector<float> expected = LossesOf(undisturbed), losses = LossesOf(disturbed);
  REQUIRE(losses.size() == 64);
  for (size_t i = 0; i < losses.size(); ++i) {
    INFO("step " << i);
    CHECK(losses[i] == Approx(expected[i]).epsilon(kResumeTolerance));
  }
}

TEST_CASE("A run whose steps are recorded is killed, resumed and evaluated as any other") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  RunOn plain(*gpu, "bf16");
  REQUIRE(plain.RunAttempt() == 0);
  RunOn recorded(*gpu, "bf16");
  recorded.request.cuda_graphs = true;
  recorded.request.checkpoint_every_seconds = 0;
  recorded.AddEvaluation("zeroshot_classification", 50, 8 * 64);
  CHECK(StopAt(recorded, 8 * 16, SIGKILL) == -SIGKILL);
  REQUIRE(recorded.RunAttempt() == 0);
  CHECK(recorded.LastEvent("started").at("cuda_graphs") == gpu->is_cuda());
  CHECK(ReadEvaluationResult(
            recorded.directory.evaluation(recorded.request.evaluations.front().eval_id))
            .metrics.size() == 4);
  const std::vector<float> expected = LossesOf(plain), losses = LossesOf(recorded);
  REQUIRE(losses.size() == 64);
  for (size_t i = 0; i < losses.size(); ++i) {
    INFO("step " << i);
    CHECK(losses[i] == Approx(expected[i]).epsilon(kResumeTolerance));
  }
}

TEST_CASE("A run on the GPU has the CPU's losses, whatever the precision, within its rounding") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  RunOn on_cpu(at::kCPU, "fp32");
  REQUIRE(on_cpu.RunAttempt() == 0);
  const double expected = *ReadResult(on_cpu.directory)->final_loss;
  for (const std::string precision : {"fp32", "tf32", "bf16"}) {
    if (precision == "tf32" && gpu->is_cpu()) continue;
    RunOn run(*gpu, precision);
    INFO(precision);
    REQUIRE(run.RunAttempt() == 0);
    CHECK(*ReadResult(run.directory)->final_loss ==
          Approx(expected).epsilon(precision == "fp32" ? 1e-3 : 0.05));
  }
}

TEST_CASE(
    "A run on the GPU whose loss is not finite ends as diverged, without a checkpoint of it") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  TestRun run([](RunSpec& spec) { spec.optimizer.learning_rate = 1e30; });
  run.request.device = gpu->is_cpu() ? "cpu" : "cuda";
  REQUIRE(run.RunAttempt() == 0);
  CHECK(ReadResult(run.directory)->outcome == "diverged");
  CHECK(ReadResult(run.directory)->checkpoint.empty());
}

}  // namespace sweep
