#include "trainer/learner.h"

#include <cmath>

#include "trainer/contrastive_loss.h"
#include "trainer/schedule.h"

namespace sweep {

at::ScalarType ComputeType(const std::string& precision) {
  return precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

Learner::Learner(const RunSpec& spec, at::Device device)
    : spec_(spec),
      parameters_(ListParameters(spec.model), device, ComputeType(spec.precision)),
      model_(parameters_, spec.model),
      optimizer_(spec.optimizer, parameters_) {}

at::Tensor Learner::Gradients(const DeviceBatch& batch) {
  parameters_.ZeroGradients();
  VisionTower::Saved vision;
  TextTower::Saved text;
  const at::Tensor images_BE = model_.vision.Forward(batch.images_BCSS, &vision);
  const at::Tensor texts_BE = model_.text.Forward(batch.tokens_BT, &text);
  const LossAndGradients loss =
      ContrastiveLoss(images_BE, texts_BE, model_.logit_scale.master, model_.logit_scale.gradient);
  model_.text.Backward(loss.text_gradient_BE, text);
  model_.vision.Backward(loss.image_gradient_BE, vision);
  parameters_.CollectGradients();
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
