#include "trainer/contrastive_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_log_softmax.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>

namespace sweep {

LossAndGradients ContrastiveLoss(const at::Tensor& images_BE,
                                 const at::Tensor& texts_BE,
                                 const at::Tensor& logit_scale,
                                 const at::Tensor& logit_scale_gradient) {
  const auto batch = static_cast<double>(images_BE.size(0));
  const at::Tensor factor = logit_scale.exp();
  const at::Tensor logits_BB = at::mm(images_BE, texts_BE.t()).mul_(factor);
  const at::Tensor by_row_BB = at::_log_softmax(logits_BB, 1, false);
  const at::Tensor by_column_BB = at::_log_softmax(logits_BB, 0, false);

  LossAndGradients result;
  result.loss = (by_row_BB.diagonal().sum() + by_column_BB.diagonal().sum()) * (-0.5 / batch);
  // d loss / d logits = (softmax of rows + softmax of columns - 2 I) / 2B
  at::Tensor gradient_BB = by_row_BB.exp().add_(by_column_BB.exp());
  gradient_BB.diagonal().sub_(2);
  gradient_BB.mul_(0.5 / batch);
  logit_scale_gradient.add_((gradient_BB * logits_BB).sum());
  gradient_BB.mul_(factor);
  result.image_gradient_BE = at::mm(gradient_BB, texts_BE);
  result.text_gradient_BE = at::mm(gradient_BB.t(), images_BE);
  return result;
}

}  // namespace sweep
