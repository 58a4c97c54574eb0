#pragma once

#include <vector>

#include "core/run_spec.h"
#include "trainer/parameter_store.h"

namespace sweep {

/// The update of those parts of a run's parameters that this process updates (ParameterStore):
/// AdamW (Loshchilov and Hutter 2019) with PyTorch's arithmetic, or LAMB (You et al. 2020) with
/// timm's: AdamW's step, scaled for each tensor that decays by the ratio of its norm to the step's.
/// Weight decay is on the parameters of two and more dimensions; each tower has its own rate and,
/// with layer decay, each layer.
class Optimizer {
 public:
  /// `parameters` must outlive it.
  Optimizer(const OptimizerSpec& spec, ParameterStore& parameters);

  /// One update with the gradients in the store; `step` counts from 1. Clips the global gradient
  /// norm first when the spec says so, keeps logit_scale in [0, ln 100], and brings what passes
  /// read up to date. Every process has to take it. `gradient_norm` is the store's where it was
  /// computed before; undefined: it is computed where it is needed.
  void Step(double learning_rate, int64_t step, const at::Tensor& gradient_norm = {});

  /// Moments of this process's parts, in the order of ParameterStore::parts.
  [[nodiscard]] const at::Tensor& first_moment() const { return first_moment_; }
  [[nodiscard]] const at::Tensor& second_moment() const { return second_moment_; }

 private:
  // A stretch of a part under the same settings.
  struct Segment {
    size_t index, bucket;
    int64_t begin, size;  // in the part
    double weight_decay;
    double rate;  // factor on the learning rate
  };

  // What AdamW updates in one call, tensor by tensor.
  struct Group {
    double weight_decay, rate;
    std::vector<at::Tensor> masters, gradients, first, second, steps;
  };

  void Clip(const at::Tensor& gradient_norm);
  void StepAdamW(double learning_rate, int64_t step);
  void StepLamb(double learning_rate, int64_t step);
  [[nodiscard]] std::vector<at::Tensor> LambUpdates(int64_t step);
  [[nodiscard]] at::Tensor TrustRatios(const std::vector<at::Tensor>& weights,
                                       const std::vector<at::Tensor>& updates) const;
  [[nodiscard]] Segment SegmentOf(const ParameterStore::Stretch& stretch) const;
  [[nodiscard]] std::vector<Segment> MergedSegments() const;
  void AddToGroups(const Segment& segment);
  [[nodiscard]] at::Tensor MomentsOf(const at::Tensor& moments, size_t bucket) const;

  OptimizerSpec spec_;
  ParameterStore& parameters_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  at::Tensor step_;
  std::vector<Group> groups_;      // of AdamW
  std::vector<Segment> segments_;  // of LAMB: one a stretch
  at::Tensor segment_index_;       // of their parameters in the list
};

/// Factor on the learning rate of a parameter: its tower's scale, times the tower's layer decay for
/// each layer between it and the tower's head.
[[nodiscard]] double RateOf(const ParameterPlace& place,
                            const OptimizerSpec& spec,
                            const ParameterStore& parameters);

}  // namespace sweep
