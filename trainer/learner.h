#pragma once

#include <ATen/core/Tensor.h>

#include "core/run_spec.h"
#include "trainer/clip_model.h"
#include "trainer/optimizer.h"

namespace sweep {

/// One step's pairs on the device that trains.
struct DeviceBatch {
  at::Tensor images_BCSS;  ///< bytes
  at::Tensor tokens_BT;    ///< int64
};

/// Weights, gradients and optimizer of one run, and the step that changes them. A step is a
/// function of the weights, the moments, the step number and the batch, so these are all a resume
/// needs.
class Learner {
 public:
  Learner(const RunSpec& spec, at::Device device);

  /// Forward, loss and backward: leaves the batch's gradients in the store and returns the loss.
  at::Tensor Gradients(const DeviceBatch& batch);

  /// Forward, loss, backward and update for step `step` (from 0). Returns the loss before the
  /// update, a scalar on the device.
  at::Tensor Step(const DeviceBatch& batch, int64_t step);

  [[nodiscard]] double LearningRate(int64_t step) const;
  /// Factor on the similarities, exp of the parameter.
  [[nodiscard]] double LogitScale() const;

  [[nodiscard]] ParameterStore& parameters() { return parameters_; }
  [[nodiscard]] const ParameterStore& parameters() const { return parameters_; }
  [[nodiscard]] AdamW& optimizer() { return optimizer_; }
  [[nodiscard]] const ClipModel& model() const { return model_; }

 private:
  RunSpec spec_;
  ParameterStore parameters_;
  ClipModel model_;
  AdamW optimizer_;
};

/// The number type of a spec's precision for matrix products and activations.
[[nodiscard]] at::ScalarType ComputeType(const std::string& precision);

}  // namespace sweep
