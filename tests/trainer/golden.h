#pragma once

#include <ATen/ops/allclose.h>
#include <ATen/ops/from_blob.h>

#include <string>

#include "core/run_spec.h"
#include "tests/trainer/golden_folder.h"
#include "trainer/learner.h"
#include "trainer/safetensors.h"

namespace sweep {

/// A tensor of a safetensors file, copied.
inline at::Tensor GoldenTensor(const SafetensorsFile& file, const std::string& name) {
  const SafeTensor& tensor = file.Get(name);
  const auto type = tensor.dtype == "U8"    ? at::kByte
                    : tensor.dtype == "I64" ? at::kLong
                    : tensor.dtype == "F64" ? at::kDouble
                                            : at::kFloat;
  return at::from_blob(const_cast<char*>(tensor.bytes.data()), tensor.shape, type).clone();
}

/// The tiny model and the training recipe of tests/data/trainer/make_goldens.py.
inline RunSpec GoldenSpec(bool quick_gelu) {
  RunSpec spec;
  spec.model.embed_dim = 12;
  spec.model.vision = {16, 8, 32, 2, 16, 4.0};
  spec.model.text = {10, 24, 24, 3, 2, 4.0};
  spec.model.quick_gelu = quick_gelu;
  spec.global_batch_size = 8;
  spec.samples_seen = 8 * 20;
  spec.optimizer.learning_rate = 2e-3;
  spec.optimizer.grad_clip_norm = 1.0;
  spec.schedule.warmup_steps = 5;
  return spec;
}

inline double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace sweep
