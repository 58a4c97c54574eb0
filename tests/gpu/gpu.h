#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "core/failure.h"
#include "tests/support/random_batch.h"
#include "trainer/device.h"

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

/// Of a from b, relative to b.
inline double Distance(const at::Tensor& a, const at::Tensor& b) {
  return (at::linalg_vector_norm(a - b) / at::linalg_vector_norm(b)).item<double>();
}

}  // namespace sweep
