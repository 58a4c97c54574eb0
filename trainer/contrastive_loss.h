#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

struct LossAndGradients {
  at::Tensor loss;  ///< scalar, nats
  at::Tensor image_gradient_BE;
  at::Tensor text_gradient_BE;
};

/// CLIP's loss: with logits = exp(logit_scale) * images_BE @ texts_BE', the mean of the cross
/// entropies of rows and of columns against the diagonal. The gradient of logit_scale is added to
/// `logit_scale_gradient`. Features have unit length, fp32.
[[nodiscard]] LossAndGradients ContrastiveLoss(const at::Tensor& images_BE,
                                               const at::Tensor& texts_BE,
                                               const at::Tensor& logit_scale,
                                               const at::Tensor& logit_scale_gradient);

}  // namespace sweep
