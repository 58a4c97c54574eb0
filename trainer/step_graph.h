#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <utility>

#include "trainer/sequences.h"

namespace sweep {

/// What a GPU was given once, to be given again in one launch: a CUDA graph. The work is the same
/// each time: same kernels, same shapes, same memory.
class StepGraph {
 public:
  virtual ~StepGraph() = default;
  StepGraph() = default;
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// Calls `work` and keeps what it launches, without running it. The tensors that `work` makes
  /// have their memory until the graph ends, those it leaves behind with their values of the last
  /// Replay.
  virtual void Record(const std::function<void()>& work) = 0;
  /// Runs it, after all that was launched before.
  virtual void Replay() = 0;
};

/// For work on that GPU, which has to be the current one. Throws Failure(kUsage) where the library
/// that does it is not beside this program or does not load.
[[nodiscard]] std::unique_ptr<StepGraph> NewStepGraph(at::Device gpu);

/// All that a step's forward and backward pass take from outside, on the device.
struct StepInputs {
  at::Tensor images_BCSS;
  at::Tensor kept_BK;  ///< undefined: all patches
  TextRows texts;
};

/// A step's forward and backward pass as a graph. The first step runs as it is, so that libraries
/// are set up; the second of the same shapes is recorded, and from then on inputs are copied to
/// where the recording reads them. Steps of other shapes run as they are.
class RepeatedStep {
 public:
  /// Returns the loss, a scalar on the device.
  using Work = std::function<at::Tensor(const StepInputs& inputs)>;

  explicit RepeatedStep(std::unique_ptr<StepGraph> graph) : graph_(std::move(graph)) {}

  /// `work` has to be the same each time. The loss is overwritten by the next step. Throws
  /// Failure(kUsage) where it cannot be recorded.
  at::Tensor Run(const StepInputs& inputs, const Work& work);

 private:
  void Record(const Work& work);

  std::unique_ptr<StepGraph> graph_;
  bool recorded_ = false;
  StepInputs inputs_;  // where the graph reads
  at::Tensor loss_;    // where it writes
};

}  // namespace sweep
