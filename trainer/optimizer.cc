#include "trainer/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace sweep {

AdamW::AdamW(const OptimizerSpec& spec, ParameterStore& parameters)
    : spec_(spec),
      parameters_(parameters),
      first_moment_(at::zeros_like(parameters.flat())),
      second_moment_(at::zeros_like(parameters.flat())),
      step_(at::zeros({}, parameters.flat().options())) {}

void AdamW::Step(double learning_rate, int64_t step) {
  if (spec_.grad_clip_norm > 0) Clip();
  step_.fill_(step);
  const int64_t decayed = parameters_.decayed_size();
  Update(0, decayed, spec_.weight_decay, learning_rate);
  Update(decayed, parameters_.flat().numel() - decayed, 0, learning_rate);
  at::Tensor scale = parameters_.Get("logit_scale").master;
  scale.clamp_(0, kMostLogitScale);
  parameters_.RefreshCompute();
}

// As torch.nn.utils.clip_grad_norm_: factor = min(1, limit / (norm + 1e-6)).
void AdamW::Clip() {
  const at::Tensor& gradient = parameters_.flat_gradient();
  const at::Tensor norm = at::linalg_vector_norm(gradient);
  gradient.mul_((norm + 1e-6).reciprocal_().mul_(spec_.grad_clip_norm).clamp_max_(1));
}

void AdamW::Update(int64_t begin, int64_t size, double weight_decay, double learning_rate) {
  at::Tensor parameter = parameters_.flat().narrow(0, begin, size);
  at::Tensor gradient = parameters_.flat_gradient().narrow(0, begin, size);
  at::Tensor first = first_moment_.narrow(0, begin, size);
  at::Tensor second = second_moment_.narrow(0, begin, size);
  at::_fused_adamw_({parameter},
                    {gradient},
                    {first},
                    {second},
                    /*max_exp_avg_sqs=*/{},
                    {step_},
                    learning_rate,
                    spec_.beta1,
                    spec_.beta2,
                    weight_decay,
                    spec_.eps,
                    /*amsgrad=*/false,
                    /*maximize=*/false);
}

}  // namespace sweep
