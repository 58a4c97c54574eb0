#include "trainer/step_graph.h"

#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <array>

#include "core/failure.h"
#include "trainer/cuda/cuda_step_graph.h"
#include "trainer/library_beside.h"

namespace sweep {
namespace {

std::array<at::Tensor*, 7> TensorsOf(StepInputs& inputs) {
  TextRows& texts = inputs.texts;
  return {&inputs.images_BCSS,
          &inputs.kept_BK,
          &texts.tokens_R,
          &texts.positions_R,
          &texts.ends_B,
          &texts.sequences.starts_B,
          &texts.sequences.lengths_B};
}

bool SameShapes(const StepInputs& a, const StepInputs& b) {
  StepInputs one = a;
  StepInputs other = b;
  const auto ones = TensorsOf(one);
  const auto others = TensorsOf(other);
  for (size_t i = 0; i < ones.size(); ++i) {
    if (ones[i]->defined() != others[i]->defined()) return false;
    if (ones[i]->defined() && ones[i]->sizes() != others[i]->sizes()) return false;
  }
  return a.texts.sequences.padded() == b.texts.sequences.padded();
}

StepInputs PlacesFor(const StepInputs& inputs) {
  StepInputs places = inputs;
  for (at::Tensor* tensor : TensorsOf(places)) {
    if (tensor->defined()) *tensor = at::empty_like(*tensor);
  }
  return places;
}

void Copy(const StepInputs& from, StepInputs& to) {
  StepInputs source = from;
  const auto sources = TensorsOf(source);
  const auto targets = TensorsOf(to);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i]->defined()) targets[i]->copy_(*sources[i], /*non_blocking=*/true);
  }
}

}  // namespace

std::unique_ptr<StepGraph> NewStepGraph(at::Device gpu) {
  const auto make = EntryBeside<NewCudaStepGraph>(kCudaGraphLibrary, kCudaGraphEntry);
  if (make == nullptr) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format(
            "cuda_graphs is true, but {} does not load: {}", kCudaGraphLibrary, WhyNotBeside()));
  }
  return std::unique_ptr<StepGraph>(make(gpu.index()));
}

// The recording's inputs are there before the first step takes memory: what it leaves can then be
// given back to the GPU whole.
at::Tensor RepeatedStep::Run(const StepInputs& inputs, const Work& work) {
  if (!SameShapes(inputs, inputs_)) {
    if (!recorded_) inputs_ = PlacesFor(inputs);
    return work(inputs);
  }
  if (!recorded_) Record(work);
  Copy(inputs, inputs_);
  graph_->Replay();
  return loss_;
}

void RepeatedStep::Record(const Work& work) {
  try {
    graph_->Record([this, work] { loss_ = work(inputs_); });
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& error) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("the step cannot be recorded, set trainer.cuda_graphs to false: {}",
                              error.what_without_backtrace()));
  }
  recorded_ = true;
}

}  // namespace sweep
