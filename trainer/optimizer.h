#pragma once

#include <vector>

#include "core/run_spec.h"
#include "trainer/parameter_store.h"

namespace sweep {

/// The update of a run's parameters, over the store's flat buffers:
/// AdamW (Loshchilov and Hutter 2019) with PyTorch's arithmetic, or LAMB (You et al. 2020) with
/// timm's: AdamW's step, scaled for each tensor that decays by the ratio of its norm to the step's.
/// Weight decay is on the parameters of two and more dimensions; each tower has its own rate and,
/// with layer decay, each layer.
class Optimizer {
 public:
  /// `parameters` must outlive it.
  Optimizer(const OptimizerSpec& spec, ParameterStore& parameters);

  /// One update with the gradients in the store; `step` counts from 1. Clips the global gradient
  /// norm first when the spec says so, keeps logit_scale in [0, ln 100], and refreshes the copies
  /// that forward passes read.
  void Step(double learning_rate, int64_t step);

  /// Moments, shaped like ParameterStore::flat.
  [[nodiscard]] const at::Tensor& first_moment() const { return first_moment_; }
  [[nodiscard]] const at::Tensor& second_moment() const { return second_moment_; }

 private:
  // A stretch of the flat buffers under the same settings.
  struct Segment {
    int64_t begin, size;
    double weight_decay;
    double rate;  // factor on the learning rate
  };

  void Clip();
  void StepAdamW(double learning_rate, int64_t step);
  void StepLamb(double learning_rate, int64_t step);
  [[nodiscard]] Segment SegmentOf(const ParameterStore::Span& span) const;

  OptimizerSpec spec_;
  ParameterStore& parameters_;
  std::vector<Segment> segments_;  // AdamW: as few as there can be; LAMB: one a tensor
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  at::Tensor step_;
};

/// Factor on the learning rate of a parameter: its tower's scale, times the tower's layer decay for
/// each layer between it and the tower's head.
[[nodiscard]] double RateOf(const ParameterPlace& place,
                            const OptimizerSpec& spec,
                            const ParameterStore& parameters);

}  // namespace sweep
