// What a step does to be repeated as one recording, with a graph that calls the recorded work again
// in place of a GPU's. That the GPU's own gives the same is tests/gpu's to say.
#include "trainer/step_graph.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <c10/util/Exception.h>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "core/failure.h"
#include "tests/support/gradients.h"
#include "tests/support/random_batch.h"
#include "tests/trainer/golden.h"

namespace sweep {
namespace {

constexpr int64_t kBatch = 13;

struct Calls {
  int records = 0;
  int replays = 0;
};

class CalledAgain : public StepGraph {
 public:
  explicit CalledAgain(Calls& calls) : calls_(calls) {}
  void Record(const std::function<void()>& work) override {
    work_ = work;
    ++calls_.records;
  }
  void Replay() override {
    work_();
    ++calls_.replays;
  }

 private:
  Calls& calls_;
  std::function<void()> work_;
};

// Heads of 16 go through the CPU's kernels, others through products on a grid.
RunSpec SpecWith(int64_t head_width, const std::string& precision) {
  RunSpec spec = GoldenSpec(false);
  spec.precision = precision;
  spec.model.vision.head_width = head_width;
  spec.model.text.width = 32;
  spec.model.text.heads = 32 / head_width;
  return spec;
}

// With two neighbouring patches kept of each image.
DeviceBatch Batch(const RunSpec& spec, int seed, int64_t size = kBatch) {
  DeviceBatch batch = RandomBatch(spec, size, at::kCPU, seed);
  Random random(seed);
  batch.kept_BK = at::zeros({size, 2}, at::kLong);
  for (int64_t b = 0; b < size; ++b) {
    const int64_t first = random.Below(spec.model.vision.patches() - 1);
    batch.kept_BK.data_ptr<int64_t>()[2 * b] = first;
    batch.kept_BK.data_ptr<int64_t>()[2 * b + 1] = first + 1;
  }
  return batch;
}

double Distance(const at::Tensor& a, const at::Tensor& b) {
  return (at::linalg_vector_norm(a - b) / at::linalg_vector_norm(b)).item<double>();
}

// Each parameter's gradients by themselves: small ones have to be right too.
void CheckSame(Learner& repeating, Learner& plain, const DeviceBatch& batch, double within) {
  const double loss = repeating.Gradients(batch).item<double>();
  CHECK(loss == Approx(plain.Gradients(batch).item<double>()).epsilon(within));
  const auto gradients = GradientsByName(repeating.parameters());
  for (const auto& [name, expected] : GradientsByName(plain.parameters())) {
    INFO(name);
    CHECK(Distance(gradients.at(name), expected) < within);
  }
  CHECK(repeating.text_tokens() == plain.text_tokens());
}

// Two learners with the same weights, of which one repeats its steps.
struct Pair {
  explicit Pair(const RunSpec& spec, const StepMemory& memory = {})
      : plain(spec, at::kCPU, memory), repeating(spec, at::kCPU, memory) {
    plain.parameters().Initialize(3);
    repeating.parameters().Initialize(3);
    repeating.RepeatStepsWith(std::make_unique<CalledAgain>(calls));
  }

  Calls calls;
  Learner plain, repeating;
};

}  // namespace

TEST_CASE("Repeated steps take each batch and give its loss and gradients, padding computed") {
  const at::NoGradGuard no_autograd;
  const int64_t head_width = GENERATE(16, 8);
  const std::string precision = GENERATE("fp32", "bf16");
  const Recompute recompute = GENERATE(Recompute::kNothing, Recompute::kCheap, Recompute::kBlocks);
  const bool drops = GENERATE(true, false);
  const RunSpec spec = SpecWith(head_width, precision);
  Pair pair(spec, {.recompute = recompute});
  const double within = precision == "fp32" ? 2e-5 : 5e-2;
  for (int64_t step = 0; step < 4; ++step) {
    DeviceBatch batch = Batch(spec, static_cast<int>(step));
    if (!drops) batch.kept_BK.reset();
    CheckSame(pair.repeating, pair.plain, batch, within);
    CHECK(pair.calls.records == (step > 0 ? 1 : 0));
    CHECK(pair.calls.replays == step);
    // The weights change under the recording.
    (void)pair.repeating.Update(step, step);
    (void)pair.plain.Update(step, step);
  }
}

TEST_CASE("Batches of another size are not what was recorded, and are not recorded unprepared") {
  const at::NoGradGuard no_autograd;
  const RunSpec spec = SpecWith(16, "fp32");
  Pair pair(spec);
  int seed = 0;
  for (const int64_t size : {kBatch - 4, kBatch, kBatch, kBatch - 4, kBatch})
    CheckSame(pair.repeating, pair.plain, Batch(spec, ++seed, size), 2e-5);
  CHECK(pair.calls.records == 1);
  CHECK(pair.calls.replays == 2);
}

TEST_CASE("Steps are repeated only where they are the same each time") {
  RunSpec spec = GoldenSpec(false);
  const int64_t batch = spec.global_batch_size;
  CHECK(Learner(spec, at::kCPU).CanRepeatSteps());
  CHECK(Learner(spec, at::kCPU, {.micro_batch = batch}).CanRepeatSteps());
  Calls calls;
  Learner in_pieces(spec, at::kCPU, {.micro_batch = batch / 2});
  CHECK_FALSE(in_pieces.CanRepeatSteps());
  CHECK_THROWS_AS(in_pieces.RepeatStepsWith(std::make_unique<CalledAgain>(calls)), Failure);
  spec.precision = "fp16";
  CHECK_FALSE(Learner(spec, at::kCPU).CanRepeatSteps());
}

TEST_CASE("A step that cannot be recorded says which setting to change") {
  class Broken : public StepGraph {
    void Record(const std::function<void()>&) override { TORCH_CHECK(false, "no such capture"); }
    void Replay() override {}
  };
  const at::NoGradGuard no_autograd;
  const RunSpec spec = SpecWith(16, "fp32");
  Learner learner(spec, at::kCPU);
  learner.parameters().Initialize(3);
  learner.RepeatStepsWith(std::make_unique<Broken>());
  (void)learner.Gradients(Batch(spec, 1));
  CHECK_THROWS_WITH(learner.Gradients(Batch(spec, 2)),
                    Catch::Contains("trainer.cuda_graphs") && Catch::Contains("no such capture"));
}

}  // namespace sweep
