// Ways to take a step in less memory change nothing but rounding.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>

#include <catch2/catch.hpp>

#include "tests/support/gradients.h"
#include "tests/support/random_batch.h"
#include "tests/trainer/golden.h"
#include "trainer/contrastive_loss.h"
#include "trainer/matrix_product.h"
#include "trainer/random.h"

namespace sweep {
namespace {

struct Step {
  double loss;
  at::Tensor gradient;
};

DeviceBatch Pairs(int64_t count) {
  return RandomBatch(GoldenSpec(false), count);
}

Step TakeStep(const StepMemory& memory,
              const std::string& precision = "fp32",
              double layer_scale = 0) {
  const at::NoGradGuard no_autograd;
  RunSpec spec = GoldenSpec(false);
  spec.precision = precision;
  spec.model.vision.ls_init_value = spec.model.text.ls_init_value = layer_scale;
  Learner learner(spec, at::kCPU, memory);
  learner.parameters().Initialize(3);
  const double loss = learner.Gradients(Pairs(13)).item<double>();
  return {loss, learner.parameters().flat_gradient()};
}

at::Tensor UnitRows(int64_t rows, int64_t width, int seed) {
  Random random(seed);
  const at::Tensor x = at::empty({rows, width}, at::kFloat);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data_ptr<float>()[i] = static_cast<float>(random.Unit() - 0.5);
  return Normalize(x).unit_RO;
}

}  // namespace

TEST_CASE("Gradients by name are the same wherever the store puts them") {
  const at::NoGradGuard no_autograd;
  const auto gradients = [](int64_t bucket_bytes) {
    Learner learner(GoldenSpec(false), at::kCPU, {.bucket_bytes = bucket_bytes});
    learner.parameters().Initialize(3);
    (void)learner.Gradients(Pairs(13));
    const at::Tensor flat = learner.parameters().flat_gradient();
    return std::pair(flat, JoinByName(GradientsByName(learner.parameters())));
  };
  const auto [one_flat, one] = gradients(kBucketBytes);
  const auto [many_flat, many] = gradients(1024);
  CHECK(at::equal(one, many));
  CHECK_FALSE(at::equal(one_flat, many_flat));
}

TEST_CASE("A learner counts the text tokens that it computed, whole or in pieces") {
  const at::NoGradGuard no_autograd;
  const DeviceBatch batch = Pairs(13);
  for (const int64_t micro_batch : {0, 4}) {
    Learner learner(GoldenSpec(false), at::kCPU, {.micro_batch = micro_batch});
    learner.parameters().Initialize(3);
    for (int repeat = 0; repeat < 2; ++repeat) {
      (void)learner.Gradients(batch);
      CHECK(learner.text_tokens() == CountTextTokens(batch.tokens_BT));
    }
  }
}

// Calls of the operation that computes a norm, from here on.
int64_t norms_computed = 0;
std::unique_ptr<at::ObserverContext> CountNorms(const at::RecordFunction& function) {
  norms_computed += std::string(function.name()) == "aten::linalg_vector_norm" ? 1 : 0;
  return nullptr;
}

TEST_CASE("A step computes the norm of its gradients once, however many look at it") {
  const at::NoGradGuard no_autograd;
  RunSpec spec = GoldenSpec(false);
  spec.precision = "fp16";
  spec.optimizer.grad_clip_norm = 1e-3;
  Learner learner(spec, at::kCPU);
  learner.SetLossScale({.scale = 1});
  learner.parameters().Initialize(3);
  for (int64_t step = 0; step < 2; ++step) {
    (void)learner.Gradients(Pairs(13));
    norms_computed = 0;
    const auto counting = at::addGlobalCallback(at::RecordFunctionCallback(CountNorms));
    CHECK(learner.GradientNorm() > 1e-3);
    CHECK(learner.Update(step, step));
    at::removeCallback(counting);
    CHECK(norms_computed == 1);
  }
}

TEST_CASE("Recomputing activations gives the same gradients to the bit") {
  for (const std::string precision : {"fp32", "bf16"}) {
    for (const double layer_scale : {0.0, 0.1}) {
      const Step whole = TakeStep({}, precision, layer_scale);
      for (const Recompute recompute : {Recompute::kCheap, Recompute::kBlocks}) {
        const Step again = TakeStep({0, recompute}, precision, layer_scale);
        CHECK(again.loss == whole.loss);
        CHECK(MaxDifference(again.gradient, whole.gradient) == 0);
      }
    }
  }
}

TEST_CASE("MKL's and oneDNN's products give the same loss and gradients") {
  const MatrixLibrary before = CpuMatrixLibrary();
  UseMatrixLibrary(MatrixLibrary::kMkl);
  const Step mkl = TakeStep({});
  UseMatrixLibrary(MatrixLibrary::kOneDnn);
  const Step onednn = TakeStep({});
  UseMatrixLibrary(before);
  CHECK(onednn.loss == Approx(mkl.loss).margin(1e-5));
  CHECK(MaxDifference(onednn.gradient, mkl.gradient) < 1e-5);
  CHECK(MaxDifference(onednn.gradient, mkl.gradient) > 0);  // sums in another order: really another
}

TEST_CASE("A step in micro-batches equals the whole batch's, logit scale included") {
  const Step whole = TakeStep({});
  const double scale = whole.gradient.abs().max().item<double>();
  for (const int64_t micro_batch : {1, 4, 5, 12, 13}) {
    const Step pieces = TakeStep({micro_batch, Recompute::kNothing});
    INFO(micro_batch);
    CHECK(pieces.loss == Approx(whole.loss).epsilon(1e-6));
    CHECK(MaxDifference(pieces.gradient, whole.gradient) < 1e-5 * scale);
  }
}

TEST_CASE("Micro-batches accumulate in fp32 also when training in bf16") {
  const Step whole = TakeStep({}, "bf16");
  const Step pieces = TakeStep({3, Recompute::kCheap}, "bf16");
  const double scale = whole.gradient.abs().max().item<double>();
  CHECK(MaxDifference(pieces.gradient, whole.gradient) < 0.02 * scale);
}

TEST_CASE("The tiled loss equals the dense one, for tiles that divide the batch and that do not") {
  const at::NoGradGuard no_autograd;
  const FeaturePair features{UnitRows(37, 24, 1), UnitRows(37, 24, 2)};
  const at::Tensor scale = at::zeros({}, at::kFloat).fill_(3.0);
  const at::Tensor dense_scale_gradient = at::zeros({}, at::kFloat);
  const LossAndGradients dense = ContrastiveLoss(features, {scale, dense_scale_gradient});
  for (const int64_t tile : {1, 5, 36, 37, 64}) {
    const at::Tensor scale_gradient = at::zeros({}, at::kFloat);
    const LossAndGradients tiled =
        ContrastiveLoss(features, {scale, scale_gradient}, {.tile = tile});
    INFO(tile);
    CHECK(MaxDifference(tiled.loss, dense.loss) < 1e-6 * 10);
    CHECK(MaxDifference(tiled.gradient.images_BE, dense.gradient.images_BE) < 1e-6);
    CHECK(MaxDifference(tiled.gradient.texts_BE, dense.gradient.texts_BE) < 1e-6);
    CHECK(MaxDifference(scale_gradient, dense_scale_gradient) < 1e-5);
  }
}

}  // namespace sweep
