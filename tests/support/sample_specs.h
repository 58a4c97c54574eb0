#pragma once

#include "core/evaluation_spec.h"
#include "core/run_spec.h"

namespace sweep {

/// A small, valid run on the built-in data; tests change what they are about.
inline RunSpec SampleRunSpec() {
  RunSpec spec;
  spec.model.embed_dim = 32;
  spec.model.vision = VisionSpec{28, 7, 32, 2, 16, 4.0};
  spec.model.text = TextSpec{16, 40, 32, 2, 2, 4.0};
  spec.data = DataSpec{"fashion_scenes", "0123456789abcdef0123456789abcdef", 4096, Json::object()};
  spec.tokenizer = TokenizerSpec{"word", "fedcba9876543210fedcba9876543210"};
  spec.samples_seen = 1024;
  spec.global_batch_size = 128;
  spec.optimizer.learning_rate = 1e-3;
  spec.schedule.warmup_steps = 2;
  return spec;
}

inline EvaluationSpec SampleEvaluationSpec() {
  return EvaluationSpec{"zeroshot_classification",
                        "fashion_scenes",
                        "0123456789abcdef0123456789abcdef",
                        1000,
                        Json::object()};
}

}  // namespace sweep
