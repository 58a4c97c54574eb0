// The same mathematics on a GPU as on the CPU. Without a GPU every case says so and passes by.
#include <ATen/DeviceAccelerator.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/gpu/gpu.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary_directory.h"
#include "trainer/process_group.h"

namespace sweep {
namespace {

struct Outcome {
  double loss = 0;
  at::Tensor gradient;  // on the CPU, by name: where parameters lie differs by device
};

Outcome GradientsOf(const RunSpec& spec, const DeviceBatch& batch, const StepMemory& memory = {}) {
  const at::NoGradGuard no_autograd;
  Learner learner(spec, batch.images_BCSS.device(), memory);
  learner.SetLossScale({.scale = 1024});  // of fp16 alone
  learner.parameters().Initialize(3);
  const double loss = learner.Gradients(batch).item<double>();
  return {loss, JoinByName(GradientsByName(learner.parameters()))};
}

Outcome GradientsOn(at::Device device,
                    const std::string& precision,
                    const StepMemory& memory = {}) {
  const RunSpec spec = Spec(precision, 64);
  return GradientsOf(spec, RandomBatch(spec, spec.global_batch_size, device), memory);
}

// Losses of so many steps on one batch.
std::vector<double> LossesOn(at::Device device, const RunSpec& spec, int64_t steps) {
  const at::NoGradGuard no_autograd;
  Learner learner(spec, device);
  learner.parameters().Initialize(3);
  const DeviceBatch batch = RandomBatch(spec, spec.global_batch_size, device);
  std::vector<double> losses;
  for (int64_t step = 0; step < steps; ++step)
    losses.push_back(learner.Step(batch, step).item<double>());
  return losses;
}

void CheckClose(const std::vector<double>& values, const std::vector<double>& expected) {
  for (size_t i = 0; i < values.size(); ++i) {
    INFO("step " << i);
    CHECK(values[i] == Approx(expected[i]).epsilon(1e-3));
  }
}

// Half of an image's patches, from another place in each and each time.
at::Tensor HalfOfThePatches(const RunSpec& spec, int64_t first = 0) {
  const int64_t patches = spec.model.vision.patches();
  const at::Tensor first_B1 =
      at::arange(first, first + spec.global_batch_size, at::kLong).unsqueeze(1);
  return (first_B1 + at::arange(0, patches, 2, at::kLong)).remainder(patches);
}

// That of the GPU; says how often it was replayed.
class CountedGraph : public StepGraph {
 public:
  CountedGraph(at::Device gpu, int& replays) : graph_(NewStepGraph(gpu)), replays_(replays) {}
  void Record(const std::function<void()>& work) override { graph_->Record(work); }
  void Replay() override {
    graph_->Replay();
    ++replays_;
  }

 private:
  std::unique_ptr<StepGraph> graph_;
  int& replays_;
};

// Bytes that LibTorch has taken for tensors on the device, at its peak since the last reset.
int64_t PeakBytes() {
  constexpr size_t kAll = 0;  // of the statistics' kinds of pools
  return at::accelerator::getDeviceStats(0).allocated_bytes[kAll].peak;
}

}  // namespace

TEST_CASE("Loss and gradients on the GPU are the CPU's") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const Outcome cpu = GradientsOn(at::kCPU, "fp32");
  const Outcome cuda = GradientsOn(*gpu, "fp32");
  CHECK(cuda.loss == Approx(cpu.loss).epsilon(1e-5));
  CHECK(Distance(cuda.gradient, cpu.gradient) < 1e-3);
  const Outcome low = GradientsOn(*gpu, "bf16");
  CHECK(low.loss == Approx(cpu.loss).epsilon(2e-2));
  CHECK(Distance(low.gradient, cpu.gradient) < 0.1);
}

TEST_CASE("Pieces and recomputation change nothing but rounding on the GPU") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const Outcome whole = GradientsOn(*gpu, "fp32");
  for (const StepMemory& memory : {StepMemory{24, Recompute::kNothing},
                                   StepMemory{0, Recompute::kCheap},
                                   StepMemory{24, Recompute::kBlocks}}) {
    const Outcome part = GradientsOn(*gpu, "fp32", memory);
    CHECK(part.loss == Approx(whole.loss).epsilon(1e-5));
    CHECK(Distance(part.gradient, whole.gradient) < 1e-4);
  }
}

TEST_CASE("fp16 and TF32 on the GPU are near the CPU's fp32") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const Outcome cpu = GradientsOn(at::kCPU, "fp32");
  const Outcome fp16 = GradientsOn(*gpu, "fp16");
  CHECK(fp16.loss == Approx(cpu.loss).epsilon(1e-2));
  CHECK(Distance(fp16.gradient, cpu.gradient) < 0.05);
  if (gpu->is_cpu()) return;  // which has no TF32
  SetPrecision(*gpu, "tf32");
  const Outcome tf32 = GradientsOn(*gpu, "tf32");
  SetPrecision(*gpu, "fp32");
  CHECK(tf32.loss == Approx(cpu.loss).epsilon(1e-2));
  CHECK(Distance(tf32.gradient, cpu.gradient) < 0.05);
  CHECK(Distance(tf32.gradient, cpu.gradient) > 1e-5);  // it was TF32
}

TEST_CASE("Dropped patches leave the GPU with the CPU's gradients") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const RunSpec spec = Spec("fp32", 64);
  const auto gradients = [&](at::Device device) {
    DeviceBatch batch = RandomBatch(spec, spec.global_batch_size, device);
    batch.kept_BK = HalfOfThePatches(spec).to(device);
    return GradientsOf(spec, batch);
  };
  const Outcome cpu = gradients(at::kCPU);
  const Outcome cuda = gradients(*gpu);
  CHECK(cuda.loss == Approx(cpu.loss).epsilon(1e-5));
  CHECK(Distance(cuda.gradient, cpu.gradient) < 1e-3);
}

TEST_CASE("Ten steps on the GPU follow the CPU's, with AdamW, clipping and LAMB") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const std::vector<std::pair<std::string, double>> cases = {
      {"adamw", 0}, {"adamw", 0.1}, {"lamb", 0.1}};
  for (const auto& [optimizer, clip] : cases) {
    RunSpec spec = Spec("fp32", 64);
    spec.optimizer.name = optimizer;
    spec.optimizer.grad_clip_norm = clip;
    INFO(optimizer << " " << clip);
    CheckClose(LossesOn(*gpu, spec, 10), LossesOn(at::kCPU, spec, 10));
  }
}

TEST_CASE("Steps that the GPU repeats from a recording have the gradients of plain ones") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu || gpu->is_cpu()) return;
  const at::NoGradGuard no_autograd;
  const std::string precision = GENERATE("fp32", "bf16");
  const Recompute recompute = GENERATE(Recompute::kNothing, Recompute::kCheap, Recompute::kBlocks);
  const std::string loss = GENERATE("softmax", "sigmoid");
  const bool drops = GENERATE(false, true);
  INFO(precision << ", " << loss << ", recompute " << static_cast<int>(recompute) << ", " << drops);
  RunSpec spec = Spec(precision, 64);
  spec.model.loss = loss;
  Learner plain(spec, *gpu, {.recompute = recompute});
  Learner repeating(spec, *gpu, {.recompute = recompute});
  plain.parameters().Initialize(3);
  repeating.parameters().Initialize(3);
  int replays = 0;
  repeating.RepeatStepsWith(std::make_unique<CountedGraph>(*gpu, replays));
  const double within = precision == "fp32" ? 1e-3 : 0.1;
  for (int step = 0; step < 5; ++step) {
    INFO("step " << step);
    DeviceBatch batch = RandomBatch(spec, spec.global_batch_size, *gpu, step);
    if (drops) batch.kept_BK = HalfOfThePatches(spec, step).to(*gpu);
    const double expected = plain.Gradients(batch).item<double>();
    CHECK(repeating.Gradients(batch).item<double>() == Approx(expected).epsilon(within));
    CHECK(Distance(JoinByName(GradientsByName(repeating.parameters())),
                   JoinByName(GradientsByName(plain.parameters()))) < within);
    (void)plain.Update(step, step);
    (void)repeating.Update(step, step);
  }
  CHECK(replays == 4);
}

// Of one rank, which is all that one GPU allows: that the library loads, joins and answers in
// place.
TEST_CASE("Tensors of a GPU go through NCCL where its library was built, and others through Gloo") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const TemporaryDirectory directory;
  const auto peers = JoinPeers(directory.path() / "meeting", {0, 1, 0}, *gpu);
  for (const at::Device device : {*gpu, at::Device(at::kCPU)}) {
    const at::Tensor whole = at::tensor({1.0F, 2.0F, 3.0F}).to(device);
    const at::Tensor expected = whole.clone();
    peers->AllReduce(whole);
    CHECK(at::equal(whole, expected));
    CHECK(at::equal(peers->AllGather(whole), expected));
    peers->StartReduceScatter(whole, whole)->Wait();
    peers->StartAllGather(whole, whole)->Wait();
    CHECK(at::equal(whole, expected));
  }
}

TEST_CASE("The loss of 262,144 pairs takes at most 64 MB beyond features and gradients") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu || gpu->is_cpu()) return;
  const at::NoGradGuard no_autograd;
  const int64_t pairs = 262144, width = 512;
  const auto unit = [&] {
    const at::Tensor x = at::randn({pairs, width}, at::TensorOptions().device(*gpu));
    return x / at::linalg_vector_norm(x, 2, {1}, /*keepdim=*/true);
  };
  const FeaturePair features{unit(), unit()};
  const at::Tensor scale = at::tensor(2.0F).to(*gpu);
  const at::Tensor gradient = at::zeros_like(scale);
  const int64_t before = at::accelerator::getDeviceStats(0).allocated_bytes[0].current;
  at::accelerator::resetPeakStats(0);
  const LossAndGradients result = ContrastiveLoss(features, {scale, gradient});
  const int64_t gradients = 2 * pairs * width * static_cast<int64_t>(sizeof(float));
  CHECK(PeakBytes() - before - gradients <= 64 << 20);
  // Random features: nearly uniform.
  CHECK(result.loss.item<double>() == Approx(std::log(static_cast<double>(pairs))).epsilon(0.02));
}

}  // namespace sweep
