#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/random_batch.h"
#include "tests/support/sample_specs.h"

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
  const int64_t batch = spec.global_batch_size;
  const DeviceBatch all = RandomBatch(spec, batch, at::kCPU, 5);
  if (peers == nullptr) return all;
  const int64_t share = batch / peers->size();
  return {all.images_BCSS.narrow(0, peers->rank() * share, share),
          all.tokens_BT.narrow(0, peers->rank() * share, share)};
}

}  // namespace sweep
