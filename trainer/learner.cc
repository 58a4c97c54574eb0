#include "trainer/learner.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "core/failure.h"
#include "trainer/contrastive_loss.h"
#include "trainer/schedule.h"

namespace sweep {
namespace {

std::vector<DeviceBatch> Split(const DeviceBatch& batch, int64_t size) {
  const auto images = batch.images_BCSS.split(size);
  const auto tokens = batch.tokens_BT.split(size);
  std::vector<DeviceBatch> pieces;
  for (size_t i = 0; i < images.size(); ++i) pieces.push_back({images[i], tokens[i]});
  if (!batch.kept_BK.defined()) return pieces;
  const auto kept = batch.kept_BK.split(size);
  for (size_t i = 0; i < kept.size(); ++i) pieces[i].kept_BK = kept[i];
  return pieces;
}

}  // namespace

at::ScalarType ComputeType(const std::string& precision) {
  if (precision == "bf16") return at::kBFloat16;
  return precision == "fp16" ? at::kHalf : at::kFloat;
}

Recompute ParseRecompute(const std::string& name) {
  if (name == "none") return Recompute::kNothing;
  if (name == "cheap") return Recompute::kCheap;
  if (name == "blocks") return Recompute::kBlocks;
  throw Failure(FailureCode::kUsage,
                fmt::format("recompute is '{}', expected none, cheap or blocks", name));
}

Sharding ParseSharding(const std::string& name) {
  if (name == "none") return Sharding::kNone;
  if (name == "optimizer") return Sharding::kOptimizer;
  if (name == "weights") return Sharding::kWeights;
  throw Failure(FailureCode::kUsage,
                fmt::format("sharding is '{}', expected none, optimizer or weights", name));
}

Learner::Learner(const RunSpec& spec, at::Device device, const StepMemory& memory, Peers* peers)
    : spec_(spec),
      memory_(memory),
      peers_(peers),
      parameters_(ListParameters(spec.model),
                  device,
                  ComputeType(spec.precision),
                  {peers, memory.sharding, memory.bucket_bytes}),
      model_(parameters_, spec.model, memory.recompute),
      optimizer_(spec.optimizer, parameters_) {}

bool Learner::Whole(int64_t batch_size) const {
  return memory_.micro_batch <= 0 || memory_.micro_batch >= batch_size;
}

bool Learner::CanRepeatSteps() const {
  return peers_ == nullptr && !scales_loss() && Whole(spec_.global_batch_size);
}

bool Learner::RecordSteps() {
  const at::Device device = parameters_.device();
  if (!device.is_cuda() || !CanRepeatSteps()) return false;
  RepeatStepsWith(NewStepGraph(device));
  return true;
}

void Learner::RepeatStepsWith(std::unique_ptr<StepGraph> graph) {
  if (!CanRepeatSteps())
    throw Failure(FailureCode::kUsage, "steps of this run are not the same each time");
  repeated_.emplace(std::move(graph));
}

at::Tensor Learner::Gradients(const DeviceBatch& batch) {
  gradient_norm_.reset();
  text_tokens_ = 0;
  at::Tensor loss = Whole(batch.tokens_BT.size(0)) ? WholeGradients(batch) : CachedGradients(batch);
  parameters_.FinishGradients();
  if (scales_loss()) parameters_.flat_gradient().mul_(1 / loss_scale_.scale);
  return loss;
}

LossAndGradients Learner::Loss(const FeaturePair& features) const {
  LossScalars scalars{model_.logit_scale.compute, model_.logit_scale.gradient};
  if (spec_.model.sigmoid()) {
    const Parameter& bias = parameters_.Get("logit_bias");
    scalars.logit_bias = bias.compute;
    scalars.logit_bias_gradient = bias.gradient;
  }
  LossAndGradients loss = ContrastiveLoss(features, scalars, {.peers = peers_});
  if (!scales_loss()) return loss;
  for (const at::Tensor& gradient : {loss.gradient.images_BE,
                                     loss.gradient.texts_BE,
                                     scalars.logit_scale_gradient,
                                     scalars.logit_bias_gradient}) {
    if (gradient.defined()) gradient.mul_(loss_scale_.scale);
  }
  return loss;
}

// Before anything is launched for the batch: a GPU then has the indices when it comes to them, and
// does not wait for this work of the host between the towers.
TextRows Learner::Pack(const DeviceBatch& batch) {
  const auto padding = repeated_ ? TextPadding::kComputed : TextPadding::kLeftOut;
  TextRows texts = PackTexts(batch.tokens_BT, parameters_.device(), padding);
  text_tokens_ += texts.tokens;
  return texts;
}

at::Tensor Learner::WholeGradients(const DeviceBatch& batch) {
  const StepInputs inputs{batch.images_BCSS, batch.kept_BK, Pack(batch)};
  if (!repeated_) return Passes(inputs);
  return repeated_->Run(inputs, [this](const StepInputs& same) { return Passes(same); });
}

at::Tensor Learner::Passes(const StepInputs& inputs) {
  parameters_.BeginGradients();
  VisionTower::Saved vision;
  TextTower::Saved text;
  const LossAndGradients loss =
      Loss({model_.vision.Forward(inputs.images_BCSS, inputs.kept_BK, &vision),
            model_.text.Forward(inputs.texts, &text)});
  model_.text.Backward(loss.gradient.texts_BE, text);
  model_.vision.Backward(loss.gradient.images_BE, vision);
  return loss.loss;
}

at::Tensor Learner::CachedGradients(const DeviceBatch& batch) {
  const std::vector<DeviceBatch> pieces = Split(batch, memory_.micro_batch);
  std::vector<TextRows> rows;
  for (const DeviceBatch& piece : pieces) rows.push_back(Pack(piece));
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> texts;
  for (size_t i = 0; i < pieces.size(); ++i) {
    images.push_back(model_.vision.Forward(pieces[i].images_BCSS, pieces[i].kept_BK, nullptr));
    texts.push_back(model_.text.Forward(rows[i], nullptr));
  }
  parameters_.BeginGradients(static_cast<int64_t>(pieces.size()));
  const LossAndGradients loss = Loss({at::cat(images), at::cat(texts)});
  const auto image_gradients = loss.gradient.images_BE.split(memory_.micro_batch);
  const auto text_gradients = loss.gradient.texts_BE.split(memory_.micro_batch);
  for (size_t i = 0; i < pieces.size(); ++i) {
    VisionTower::Saved vision;
    (void)model_.vision.Forward(pieces[i].images_BCSS, pieces[i].kept_BK, &vision);
    model_.vision.Backward(image_gradients[i], vision);
    TextTower::Saved text;
    (void)model_.text.Forward(rows[i], &text);
    model_.text.Backward(text_gradients[i], text);
  }
  return loss.loss;
}

at::Tensor Learner::Step(const DeviceBatch& batch, int64_t step) {
  at::Tensor loss = Gradients(batch);
  (void)Update(step, step);
  return loss;
}

double Learner::GradientNorm() {
  if (!gradient_norm_.defined()) gradient_norm_ = parameters_.GradientNorm();
  return gradient_norm_.item<double>();
}

bool Learner::Update(int64_t step, int64_t update) {
  if (scales_loss()) {
    if (!std::isfinite(GradientNorm())) {
      loss_scale_.NoteOverflow();
      return false;
    }
    loss_scale_.NoteGood();
  }
  optimizer_.Step(LearningRate(step), update + 1, gradient_norm_);
  gradient_norm_.reset();  // clipped since
  return true;
}

double Learner::LearningRate(int64_t step) const {
  return LearningRateAt(step, spec_.steps(), spec_.optimizer.learning_rate, spec_.schedule);
}

double Learner::LogitScale() const {
  return std::exp(static_cast<double>(model_.logit_scale.compute.item<float>()));
}

}  // namespace sweep
