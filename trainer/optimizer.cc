#include "trainer/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

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
    : spec_(spec), parameters_(parameters) {
  const auto options = at::TensorOptions().device(parameters.device()).dtype(at::kFloat);
  first_moment_ = at::zeros({parameters.parts_size()}, options);
  second_moment_ = at::zeros({parameters.parts_size()}, options);
  step_ = at::zeros({}, options);
  if (spec.name == "adamw") {
    for (const Segment& segment : MergedSegments()) AddToGroups(segment);
  } else {
    std::vector<int64_t> index;
    for (const auto& stretch : parameters.stretches()) {
      segments_.push_back(SegmentOf(stretch));
      index.push_back(static_cast<int64_t>(stretch.index));
    }
    segment_index_ = at::tensor(index, at::kLong).to(parameters.device());
  }
}

Optimizer::Segment Optimizer::SegmentOf(const ParameterStore::Stretch& stretch) const {
  const ParameterInfo& info = parameters_.list()[stretch.index];
  const bool decays = info.decays() && (spec_.decay_embeddings || !info.place.position);
  return {stretch.index,
          stretch.bucket,
          stretch.begin,
          stretch.size,
          decays ? spec_.weight_decay : 0,
          RateOf(info.place, spec_, parameters_)};
}

// As few as there can be.
std::vector<Optimizer::Segment> Optimizer::MergedSegments() const {
  std::vector<Segment> merged;
  for (const ParameterStore::Stretch& stretch : parameters_.stretches()) {
    const Segment next = SegmentOf(stretch);
    Segment* last = merged.empty() ? nullptr : &merged.back();
    if (last != nullptr && last->bucket == next.bucket && last->weight_decay == next.weight_decay &&
        last->rate == next.rate) {
      last->size += next.size;
    } else {
      merged.push_back(next);
    }
  }
  return merged;
}

void Optimizer::AddToGroups(const Segment& segment) {
  auto group = std::ranges::find_if(groups_, [&](const Group& g) {
    return g.weight_decay == segment.weight_decay && g.rate == segment.rate;
  });
  if (group == groups_.end())
    group = groups_.insert(groups_.end(), {segment.weight_decay, segment.rate, {}, {}, {}, {}, {}});
  const ParameterStore::Part& part = parameters_.parts()[segment.bucket];
  const auto slice = [&](const at::Tensor& x) { return x.narrow(0, segment.begin, segment.size); };
  group->masters.push_back(slice(part.master));
  group->gradients.push_back(slice(part.gradient));
  group->first.push_back(slice(MomentsOf(first_moment_, segment.bucket)));
  group->second.push_back(slice(MomentsOf(second_moment_, segment.bucket)));
  group->steps.push_back(step_);
}

at::Tensor Optimizer::MomentsOf(const at::Tensor& moments, size_t bucket) const {
  const ParameterStore::Part& part = parameters_.parts()[bucket];
  return moments.narrow(0, part.begin, part.master.size(0));
}

void Optimizer::Step(double learning_rate, int64_t step, const at::Tensor& gradient_norm) {
  if (spec_.grad_clip_norm > 0)
    Clip(gradient_norm.defined() ? gradient_norm : parameters_.GradientNorm());
  if (spec_.name == "lamb") {
    StepLamb(learning_rate, step);
  } else {
    StepAdamW(learning_rate, step);
  }
  parameters_.ClampLogitScale(kMostLogitScale);
  parameters_.PublishMasters();
}

// As torch.nn.utils.clip_grad_norm_: factor = min(1, limit / (norm + 1e-6)).
void Optimizer::Clip(const at::Tensor& gradient_norm) {
  const at::Tensor norm = gradient_norm.to(at::kFloat);
  const at::Tensor factor = (norm + 1e-6).reciprocal_().mul_(spec_.grad_clip_norm).clamp_max_(1);
  for (const ParameterStore::Part& part : parameters_.parts()) {
    at::Tensor gradient = part.gradient;
    gradient.mul_(factor);
  }
}

void Optimizer::StepAdamW(double learning_rate, int64_t step) {
  step_.fill_(step);
  for (Group& group : groups_) {
    at::_fused_adamw_(group.masters,
                      group.gradients,
                      group.first,
                      group.second,
                      /*max_exp_avg_sqs=*/{},
                      group.steps,
                      learning_rate * group.rate,
                      spec_.beta1,
                      spec_.beta2,
                      group.weight_decay,
                      spec_.eps,
                      /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

// Moves the moments on and returns AdamW's step of each bucket, without decay and rate.
std::vector<at::Tensor> Optimizer::LambUpdates(int64_t step) {
  const auto power = static_cast<double>(step);
  const double first_bias = 1 - std::pow(spec_.beta1, power);
  const double second_bias = 1 - std::pow(spec_.beta2, power);
  std::vector<at::Tensor> updates;
  for (size_t b = 0; b < parameters_.parts().size(); ++b) {
    const at::Tensor& gradient = parameters_.parts()[b].gradient;
    at::Tensor first = MomentsOf(first_moment_, b);
    at::Tensor second = MomentsOf(second_moment_, b);
    first.mul_(spec_.beta1).add_(gradient, 1 - spec_.beta1);
    second.mul_(spec_.beta2).addcmul_(gradient, gradient, 1 - spec_.beta2);
    const at::Tensor denominator = second.sqrt().div_(std::sqrt(second_bias)).add_(spec_.eps);
    updates.push_back((first / first_bias).div_(denominator));
  }
  return updates;
}

// Operations on lists: a GPU takes most of them in one launch each for all tensors.
void Optimizer::StepLamb(double learning_rate, int64_t step) {
  const std::vector<at::Tensor> of_buckets = LambUpdates(step);
  std::vector<at::Tensor> weights, updates, decaying, decaying_updates;
  for (const Segment& segment : segments_) {
    const at::Tensor& master = parameters_.parts()[segment.bucket].master;
    weights.push_back(master.narrow(0, segment.begin, segment.size));
    updates.push_back(of_buckets[segment.bucket].narrow(0, segment.begin, segment.size));
    if (segment.weight_decay == 0) continue;
    decaying.push_back(weights.back());
    decaying_updates.push_back(updates.back());
  }
  if (!decaying.empty()) at::_foreach_add_(decaying_updates, decaying, spec_.weight_decay);
  const at::Tensor ratios = TrustRatios(weights, updates);
  std::map<double, std::pair<std::vector<at::Tensor>, std::vector<at::Tensor>>> of_rate;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (segment.weight_decay != 0) updates[i].mul_(ratios[static_cast<int64_t>(segment.index)]);
    auto& [their_weights, their_updates] = of_rate[segment.rate];
    their_weights.push_back(weights[i]);
    their_updates.push_back(updates[i]);
  }
  for (auto& [rate, of] : of_rate) at::_foreach_sub_(of.first, of.second, learning_rate * rate);
}

// For each parameter the norm of its weights by that of its update, 1 where one of them is 0. Of a
// parameter in several parts, each process has added up its own squares.
at::Tensor Optimizer::TrustRatios(const std::vector<at::Tensor>& weights,
                                  const std::vector<at::Tensor>& updates) const {
  const auto count = static_cast<int64_t>(parameters_.list().size());
  const at::Tensor squares = at::zeros({2, count}, step_.options().dtype(at::kDouble));
  const auto add = [&](int64_t row, const std::vector<at::Tensor>& tensors) {
    const at::Tensor norms = at::stack(at::_foreach_norm(tensors)).to(at::kDouble);
    squares[row].index_add_(0, segment_index_, norms.square());
  };
  add(0, weights);
  add(1, updates);
  parameters_.SumOverParts(squares);
  const at::Tensor norms = squares.sqrt().to(at::kFloat);
  const at::Tensor both = (norms[0] > 0).logical_and_(norms[1] > 0);
  return at::where(both, norms[0] / norms[1], at::ones_like(norms[0]));
}

}  // namespace sweep
