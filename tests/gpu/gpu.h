#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "core/failure.h"
#include "trainer/device.h"
#include "trainer/learner.h"
#include "trainer/random.h"

namespace sweep {

/// The GPU to test; with none, a line that ctest counts as skipped. SWEEP_GPU_TESTS_ON=cpu tries
/// the tests themselves on a CPU.
inline std::optional<at::Device> Gpu() {
  const char* const instead = std::getenv("SWEEP_GPU_TESTS_ON");
  try {
    return ChooseDevice(instead != nullptr ? instead : "cuda");
  } catch (const Failure& failure) {
    std::cout << "SKIPPED: " << failure.what() << "\n";
    return std::nullopt;
  }
}

/// A model of 3.8 million parameters.
inline RunSpec Spec(const std::string& precision, int64_t batch) {
  const std::string file = std::string(SWEEP_SOURCE_DIR) + "/benchmarks/trainer/models.json";
  RunSpec spec;
  spec.model = ParseModelSpec(ReadJsonFile(file).at("models").at("clip-32px"), file);
  spec.precision = precision;
  spec.global_batch_size = batch;
  spec.samples_seen = batch * 1000;
  spec.optimizer.learning_rate = 1e-3;
  return spec;
}

/// Of a seed always the same pixels and texts of different lengths.
inline DeviceBatch RandomBatch(const RunSpec& spec, at::Device device, int seed = 7) {
  Random random(seed);
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

/// Of a from b, relative to b.
inline double Distance(const at::Tensor& a, const at::Tensor& b) {
  return (at::linalg_vector_norm(a - b) / at::linalg_vector_norm(b)).item<double>();
}

}  // namespace sweep
