#pragma once

#include "core/run_spec.h"
#include "trainer/parameter_store.h"

namespace sweep {

/// AdamW (Loshchilov and Hutter 2019) with PyTorch's arithmetic, over the flat buffers: weight
/// decay on the parameters of two and more dimensions, none on the rest.
class AdamW {
 public:
  /// `parameters` must outlive it.
  AdamW(const OptimizerSpec& spec, ParameterStore& parameters);

  /// One update with the gradients in the store; `step` counts from 1. Clips the global gradient
  /// norm first when the spec says so, keeps logit_scale in [0, ln 100], and refreshes the copies
  /// that forward passes read.
  void Step(double learning_rate, int64_t step);

  /// Moments, shaped like ParameterStore::flat.
  [[nodiscard]] const at::Tensor& first_moment() const { return first_moment_; }
  [[nodiscard]] const at::Tensor& second_moment() const { return second_moment_; }

 private:
  void Clip();
  void Update(int64_t begin, int64_t size, double weight_decay, double learning_rate);

  OptimizerSpec spec_;
  ParameterStore& parameters_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  at::Tensor step_;
};

}  // namespace sweep
