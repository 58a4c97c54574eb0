#include "trainer/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace sweep {
namespace {

int64_t HeadLayer(Tower tower, const std::vector<ParameterInfo>& list) {
  int64_t head = 0;
  for (const ParameterInfo& info : list) {
    if (info.place.tower == tower) head = std::max(head, info.place.layer);
  }
  return head;
}

}  // namespace

double RateOf(const ParameterPlace& place,
              const OptimizerSpec& spec,
              const ParameterStore& parameters) {
  if (place.tower == Tower::kNone) return 1;
  const TowerRateSpec& tower = place.tower == Tower::kVision ? spec.vision : spec.text;
  const int64_t below_head = HeadLayer(place.tower, parameters.list()) - place.layer;
  return tower.scale * std::pow(tower.layer_decay, static_cast<double>(below_head));
}

Optimizer::Optimizer(const OptimizerSpec& spec, ParameterStore& parameters)
    : spec_(spec),
      parameters_(parameters),
      first_moment_(at::zeros_like(parameters.flat())),
      second_moment_(at::zeros_like(parameters.flat())),
      step_(at::zeros({}, parameters.flat().options())) {
  const bool merges = spec.name == "adamw";
  for (const ParameterStore::Span& span : parameters.Spans()) {
    const Segment next = SegmentOf(span);
    Segment* last = segments_.empty() ? nullptr : &segments_.back();
    if (merges && last != nullptr && last->weight_decay == next.weight_decay &&
        last->rate == next.rate) {
      last->size += next.size;
    } else {
      segments_.push_back(next);
    }
  }
}

Optimizer::Segment Optimizer::SegmentOf(const ParameterStore::Span& span) const {
  const ParameterInfo& info = parameters_.list()[span.index];
  const bool decays = info.decays() && (spec_.decay_embeddings || !info.place.position);
  return {span.begin,
          span.size,
          decays ? spec_.weight_decay : 0,
          RateOf(info.place, spec_, parameters_)};
}

void Optimizer::Step(double learning_rate, int64_t step) {
  if (spec_.grad_clip_norm > 0) Clip();
  if (spec_.name == "lamb") {
    StepLamb(learning_rate, step);
  } else {
    StepAdamW(learning_rate, step);
  }
  at::Tensor scale = parameters_.Get("logit_scale").master;
  scale.clamp_(0, kMostLogitScale);
  parameters_.RefreshCompute();
}

// As torch.nn.utils.clip_grad_norm_: factor = min(1, limit / (norm + 1e-6)).
void Optimizer::Clip() {
  const at::Tensor& gradient = parameters_.flat_gradient();
  const at::Tensor norm = at::linalg_vector_norm(gradient);
  gradient.mul_((norm + 1e-6).reciprocal_().mul_(spec_.grad_clip_norm).clamp_max_(1));
}

void Optimizer::StepAdamW(double learning_rate, int64_t step) {
  step_.fill_(step);
  for (const Segment& segment : segments_) {
    const auto slice = [&](const at::Tensor& flat) {
      return flat.narrow(0, segment.begin, segment.size);
    };
    at::Tensor parameter = slice(parameters_.flat());
    at::Tensor gradient = slice(parameters_.flat_gradient());
    at::Tensor first = slice(first_moment_);
    at::Tensor second = slice(second_moment_);
    at::_fused_adamw_({parameter},
                      {gradient},
                      {first},
                      {second},
                      /*max_exp_avg_sqs=*/{},
                      {step_},
                      learning_rate * segment.rate,
                      spec_.beta1,
                      spec_.beta2,
                      segment.weight_decay,
                      spec_.eps,
                      /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

void Optimizer::StepLamb(double learning_rate, int64_t step) {
  const at::Tensor& gradient = parameters_.flat_gradient();
  const auto power = static_cast<double>(step);
  first_moment_.mul_(spec_.beta1).add_(gradient, 1 - spec_.beta1);
  second_moment_.mul_(spec_.beta2).addcmul_(gradient, gradient, 1 - spec_.beta2);
  const double first_bias = 1 - std::pow(spec_.beta1, power);
  const double second_bias = 1 - std::pow(spec_.beta2, power);
  const at::Tensor denominator = second_moment_.sqrt().div_(std::sqrt(second_bias)).add_(spec_.eps);
  const at::Tensor update = (first_moment_ / first_bias).div_(denominator);

  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> updates;
  for (const Segment& segment : segments_) {
    weights.push_back(parameters_.flat().narrow(0, segment.begin, segment.size));
    updates.push_back(update.narrow(0, segment.begin, segment.size));
    if (segment.weight_decay != 0) updates.back().add_(weights.back(), segment.weight_decay);
  }
  const std::vector<at::Tensor> weight_norms = at::_foreach_norm(weights);
  const std::vector<at::Tensor> update_norms = at::_foreach_norm(updates);
  for (size_t i = 0; i < segments_.size(); ++i) {
    const double rate = learning_rate * segments_[i].rate;
    if (segments_[i].weight_decay == 0) {
      weights[i].sub_(updates[i], rate);
      continue;
    }
    const at::Tensor both = (weight_norms[i] > 0).logical_and_(update_norms[i] > 0);
    const at::Tensor ratio =
        at::where(both, weight_norms[i] / update_norms[i], at::ones_like(weight_norms[i]));
    weights[i].sub_(updates[i] * ratio, rate);
  }
}

}  // namespace sweep
