#pragma once

#include <ATen/ops/zeros.h>

#include "trainer/learner.h"
#include "trainer/random.h"

namespace sweep {

/// Of a seed always the same pixels and texts of different lengths, as many as `pairs` says.
inline DeviceBatch RandomBatch(const RunSpec& spec,
                               int64_t pairs,
                               at::Device device = at::kCPU,
                               int seed = 7) {
  Random random(seed);
  const int64_t side = spec.model.vision.image_size, context = spec.model.text.context_length;
  const at::Tensor images = at::zeros({pairs, 3, side, side}, at::kByte);
  for (int64_t i = 0; i < images.numel(); ++i)
    images.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(random.Below(256));
  const at::Tensor tokens = at::zeros({pairs, context}, at::kLong);
  const int64_t last = spec.model.text.vocab_size - 1;
  for (int64_t b = 0; b < pairs; ++b) {
    const int64_t end = 2 + random.Below(context - 2);
    for (int64_t t = 0; t < end; ++t)
      tokens.data_ptr<int64_t>()[b * context + t] = 1 + random.Below(last - 1);
    tokens.data_ptr<int64_t>()[b * context + end] = last;
  }
  return {images.to(device), tokens};
}

}  // namespace sweep
