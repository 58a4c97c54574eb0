// The same mathematics on a GPU as on the CPU. Without a GPU every case says so and passes by.
#include <ATen/DeviceAccelerator.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <optional>

#include "core/failure.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary_directory.h"
#include "trainer/device.h"
#include "trainer/learner.h"
#include "trainer/process_group.h"
#include "trainer/random.h"

namespace sweep {
namespace {

// ctest counts a program that prints this line as skipped.
std::optional<at::Device> Gpu() {
  try {
    return ChooseDevice("cuda");
  } catch (const Failure& failure) {
    std::cout << "SKIPPED: " << failure.what() << "\n";
    return std::nullopt;
  }
}

RunSpec Spec(const std::string& precision, int64_t batch) {
  const std::string file = std::string(SWEEP_SOURCE_DIR) + "/benchmarks/trainer/models.json";
  RunSpec spec;
  spec.model = ParseModelSpec(ReadJsonFile(file).at("models").at("clip-32px"), file);
  spec.precision = precision;
  spec.global_batch_size = batch;
  spec.samples_seen = batch * 1000;
  spec.optimizer.learning_rate = 1e-3;
  return spec;
}

DeviceBatch RandomBatch(const RunSpec& spec, at::Device device) {
  Random random(7);
  const int64_t side = spec.model.vision.image_size, context = spec.model.text.context_length;
  const at::Tensor images = at::zeros({spec.global_batch_size, 3, side, side}, at::kByte);
  for (int64_t i = 0; i < images.numel(); ++i)
    images.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(random.Below(256));
  const at::Tensor tokens = at::zeros({spec.global_batch_size, context}, at::kLong);
  const int64_t last = spec.model.text.vocab_size - 1;
  for (int64_t b = 0; b < spec.global_batch_size; ++b) {
    const int64_t end = 2 + random.Below(context - 2);
    for (int64_t t = 0; t < end; ++t)
      tokens.data_ptr<int64_t>()[b * context + t] = 1 + random.Below(last - 1);
    tokens.data_ptr<int64_t>()[b * context + end] = last;
  }
  return {images.to(device), tokens};
}

struct Outcome {
  double loss = 0;
  at::Tensor gradient;  // on the CPU, by name: where parameters lie differs by device
};

Outcome GradientsOn(at::Device device,
                    const std::string& precision,
                    const StepMemory& memory = {}) {
  const at::NoGradGuard no_autograd;
  const RunSpec spec = Spec(precision, 64);
  Learner learner(spec, device, memory);
  learner.parameters().Initialize(3);
  const double loss = learner.Gradients(RandomBatch(spec, device)).item<double>();
  return {loss, JoinByName(GradientsByName(learner.parameters()))};
}

double Distance(const at::Tensor& a, const at::Tensor& b) {
  return (at::linalg_vector_norm(a - b) / at::linalg_vector_norm(b)).item<double>();
}

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

TEST_CASE("Twenty steps on the GPU follow the CPU's") {
  const std::optional<at::Device> gpu = Gpu();
  if (!gpu) return;
  const at::NoGradGuard no_autograd;
  const RunSpec spec = Spec("fp32", 64);
  Learner on_cpu(spec, at::kCPU), on_gpu(spec, *gpu);
  on_cpu.parameters().Initialize(3);
  on_gpu.parameters().Initialize(3);
  const DeviceBatch for_cpu = RandomBatch(spec, at::kCPU), for_gpu = RandomBatch(spec, *gpu);
  for (int64_t step = 0; step < 20; ++step) {
    const double cpu = on_cpu.Step(for_cpu, step).item<double>();
    const double cuda = on_gpu.Step(for_gpu, step).item<double>();
    INFO("step " << step);
    CHECK(cuda == Approx(cpu).epsilon(1e-3));
  }
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
  if (!gpu) return;
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
