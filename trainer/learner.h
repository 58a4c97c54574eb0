#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

#include "core/run_spec.h"
#include "trainer/clip_model.h"
#include "trainer/contrastive_loss.h"
#include "trainer/loss_scale.h"
#include "trainer/optimizer.h"
#include "trainer/peers.h"
#include "trainer/step_graph.h"

namespace sweep {

/// One step's pairs, images on the device that trains.
struct DeviceBatch {
  at::Tensor images_BCSS;   ///< bytes
  at::Tensor tokens_BT;     ///< int64, on the CPU
  at::Tensor kept_BK = {};  ///< int64, patches that stay; undefined: all
};

/// How a step is computed within the memory there is; the step itself does not depend on it, but
/// for rounding.
struct StepMemory {
  int64_t micro_batch = 0;  ///< pairs encoded at a time; 0: all
  Recompute recompute = Recompute::kNothing;
  Sharding sharding = Sharding::kNone;  ///< over the peers, where there are any
  int64_t bucket_bytes = kBucketBytes;  ///< of gradients that they exchange at once
};

/// Weights, gradients and optimizer of one run, and the step that changes them. A step is a
/// function of the weights, the moments, the step number and the batch, so these are all a resume
/// needs.
class Learner {
 public:
  /// With `peers`, which must outlive it, each process gets its share of every batch, and all hold
  /// the same weights and take the same steps.
  Learner(const RunSpec& spec,
          at::Device device,
          const StepMemory& memory = {},
          Peers* peers = nullptr);

  /// Forward, loss and backward: leaves the batch's gradients in the store and returns the loss.
  /// With a micro-batch smaller than the batch, features are first computed piece by piece without
  /// keeping activations, the loss is taken once over all of them, and each piece is computed again
  /// for its backward pass (GradCache: Gao et al. 2021): exact, logit scale included.
  at::Tensor Gradients(const DeviceBatch& batch);

  /// Records and repeats steps on a GPU, where CanRepeatSteps; says whether it does.
  bool RecordSteps();

  /// Records a step's passes with `graph` and repeats them from then on. All batches are then
  /// computed in one shape, padding of texts with them. Throws Failure(kUsage) unless
  /// CanRepeatSteps.
  void RepeatStepsWith(std::unique_ptr<StepGraph> graph);

  /// Whether a step's passes are the same each time: not in pieces, which would be many recordings;
  /// not with other processes, whose collectives the host starts; and not in fp16, whose loss scale
  /// changes.
  [[nodiscard]] bool CanRepeatSteps() const;

  /// Tokens of texts in the last Gradients, padding left out.
  [[nodiscard]] int64_t text_tokens() const { return text_tokens_; }

  /// Norm of the whole model's gradients, computed once a step; every process has to ask.
  [[nodiscard]] double GradientNorm();

  /// Updates the weights with the gradients in the store, at the rate of step `step` (from 0), as
  /// the update number `update` (from 0; fewer than steps where some were skipped). In fp16, false
  /// and no update when the gradients overflowed: then the loss scale is halved.
  bool Update(int64_t step, int64_t update);

  /// Gradients and update for step `step` (from 0). Returns the loss before the update, a scalar on
  /// the device.
  at::Tensor Step(const DeviceBatch& batch, int64_t step);

  /// In fp16, what loss and gradients are multiplied by on their way; else nothing looks at it.
  [[nodiscard]] const LossScale& loss_scale() const { return loss_scale_; }
  void SetLossScale(const LossScale& scale) { loss_scale_ = scale; }
  [[nodiscard]] bool scales_loss() const { return spec_.precision == "fp16"; }

  [[nodiscard]] double LearningRate(int64_t step) const;
  /// Factor on the similarities, exp of the parameter.
  [[nodiscard]] double LogitScale() const;

  [[nodiscard]] ParameterStore& parameters() { return parameters_; }
  [[nodiscard]] const ParameterStore& parameters() const { return parameters_; }
  [[nodiscard]] Optimizer& optimizer() { return optimizer_; }
  [[nodiscard]] const ClipModel& model() const { return model_; }

 private:
  [[nodiscard]] bool Whole(int64_t batch_size) const;
  at::Tensor WholeGradients(const DeviceBatch& batch);
  at::Tensor Passes(const StepInputs& inputs);
  at::Tensor CachedGradients(const DeviceBatch& batch);
  [[nodiscard]] TextRows Pack(const DeviceBatch& batch);
  [[nodiscard]] LossAndGradients Loss(const FeaturePair& features) const;

  RunSpec spec_;
  StepMemory memory_;
  Peers* peers_;
  ParameterStore parameters_;
  ClipModel model_;
  Optimizer optimizer_;
  LossScale loss_scale_;
  std::optional<RepeatedStep> repeated_;
  int64_t text_tokens_ = 0;
  at::Tensor gradient_norm_;  // of the last Gradients, once someone has asked
};

/// `none`, `cheap` or `blocks`. Throws Failure(kUsage) for another word.
[[nodiscard]] Recompute ParseRecompute(const std::string& name);

/// `none`, `optimizer` or `weights`. Throws Failure(kUsage) for another word.
[[nodiscard]] Sharding ParseSharding(const std::string& name);

/// The number type of a spec's precision for matrix products and activations.
[[nodiscard]] at::ScalarType ComputeType(const std::string& precision);

}  // namespace sweep
