#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/sample_specs.h"
#include "trainer/learner.h"
#include "trainer/random.h"

namespace sweep {

inline const std::vector<std::pair<std::string, Sharding>> kShardings = {
    {"none", Sharding::kNone},
    {"optimizer", Sharding::kOptimizer},
    {"weights", Sharding::kWeights}};

/// Bytes: several buckets a model.
inline constexpr int64_t kSmallBuckets = 8192;

/// A model of a few thousand numbers, for steps that many processes take.
inline RunSpec SmallSpec() {
  RunSpec spec = SampleRunSpec();
  spec.model.embed_dim = 12;
  spec.model.vision = {16, 8, 32, 2, 16, 4.0};
  spec.model.text = {10, 24, 24, 3, 2, 4.0};
  spec.global_batch_size = 16;
  spec.samples_seen = 16 * 20;
  spec.optimizer.learning_rate = 2e-3;
  return spec;
}

/// This process's share of the pairs of a step.
inline DeviceBatch ShareOf(const RunSpec& spec, Peers* peers) {
  Random random(5);
  const int64_t side = spec.model.vision.image_size, context = spec.model.text.context_length;
  const int64_t batch = spec.global_batch_size;
  const at::Tensor images = at::empty({batch, 3, side, side}, at::kByte);
  for (int64_t i = 0; i < images.numel(); ++i)
    images.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(random.Below(256));
  const at::Tensor tokens = at::zeros({batch, context}, at::kLong);
  const int64_t last = spec.model.text.vocab_size - 1;
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t end = 2 + random.Below(context - 2);
    for (int64_t t = 0; t < end; ++t)
      tokens.data_ptr<int64_t>()[b * context + t] = random.Below(last);
    tokens.data_ptr<int64_t>()[b * context + end] = last;
  }
  if (peers == nullptr) return {images, tokens};
  const int64_t share = batch / peers->size();
  return {images.narrow(0, peers->rank() * share, share),
          tokens.narrow(0, peers->rank() * share, share)};
}

}  // namespace sweep
