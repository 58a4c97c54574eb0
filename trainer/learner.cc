#include "trainer/learner.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <cmath>

#include "core/failure.h"
#include "trainer/contrastive_loss.h"
#include "trainer/schedule.h"

namespace sweep {

at::ScalarType ComputeType(const std::string& precision) {
  return precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

Recompute ParseRecompute(const std::string& name) {
  if (name == "none") return Recompute::kNothing;
  if (name == "cheap") return Recompute::kCheap;
  if (name == "blocks") return Recompute::kBlocks;
  throw Failure(FailureCode::kUsage,
                fmt::format("recompute is '{}', expected none, cheap or blocks", name));
}

Learner::Learner(const RunSpec& spec, at::Device device, const StepMemory& memory)
    : spec_(spec),
      memory_(memory),
      parameters_(ListParameters(spec.model), device, ComputeType(spec.precision)),
      model_(parameters_, spec.model, memory.recompute),
      optimizer_(spec.optimizer, parameters_) {}

at::Tensor Learner::Gradients(const DeviceBatch& batch) {
  parameters_.ZeroGradients();
  const bool whole = memory_.micro_batch <= 0 || memory_.micro_batch >= batch.tokens_BT.size(0);
  return whole ? WholeGradients(batch) : CachedGradients(batch);
}

at::Tensor Learner::WholeGradients(const DeviceBatch& batch) {
  VisionTower::Saved vision;
  TextTower::Saved text;
  const FeaturePair features = {model_.vision.Forward(batch.images_BCSS, &vision),
                                model_.text.Forward(batch.tokens_BT, &text)};
  LossAndGradients loss =
      ContrastiveLoss(features, model_.logit_scale.master, model_.logit_scale.gradient);
  model_.text.Backward(loss.gradient.texts_BE, text);
  model_.vision.Backward(loss.gradient.images_BE, vision);
  parameters_.CollectGradients();
  return loss.loss;
}

at::Tensor Learner::CachedGradients(const DeviceBatch& batch) {
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> texts;
  const std::vector<at::Tensor> image_pieces = batch.images_BCSS.split(memory_.micro_batch);
  const std::vector<at::Tensor> token_pieces = batch.tokens_BT.split(memory_.micro_batch);
  for (size_t i = 0; i < image_pieces.size(); ++i) {
    images.push_back(model_.vision.Forward(image_pieces[i], nullptr));
    texts.push_back(model_.text.Forward(token_pieces[i], nullptr));
  }
  const FeaturePair features = {at::cat(images), at::cat(texts)};
  LossAndGradients loss =
      ContrastiveLoss(features, model_.logit_scale.master, model_.logit_scale.gradient);
  const auto image_gradients = loss.gradient.images_BE.split(memory_.micro_batch);
  const auto text_gradients = loss.gradient.texts_BE.split(memory_.micro_batch);
  for (size_t i = 0; i < image_pieces.size(); ++i) {
    VisionTower::Saved vision;
    (void)model_.vision.Forward(image_pieces[i], &vision);
    model_.vision.Backward(image_gradients[i], vision);
    TextTower::Saved text;
    (void)model_.text.Forward(token_pieces[i], &text);
    model_.text.Backward(text_gradients[i], text);
    parameters_.CollectGradients();
  }
  return loss.loss;
}

at::Tensor Learner::Step(const DeviceBatch& batch, int64_t step) {
  at::Tensor loss = Gradients(batch);
  optimizer_.Step(LearningRate(step), step + 1);
  return loss;
}

double Learner::LearningRate(int64_t step) const {
  return LearningRateAt(step, spec_.steps(), spec_.optimizer.learning_rate, spec_.schedule);
}

double Learner::LogitScale() const {
  return std::exp(static_cast<double>(model_.logit_scale.master.item<float>()));
}

}  // namespace sweep
