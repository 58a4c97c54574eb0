#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

/// B pairs of unit features of E numbers, fp32.
struct FeaturePair {
  at::Tensor images_BE;
  at::Tensor texts_BE;
};

struct LossAndGradients {
  at::Tensor loss;       ///< scalar, nats
  FeaturePair gradient;  ///< of the features
};

/// CLIP's loss: with logits = exp(logit_scale) * images_BE @ texts_BE', the mean of the cross
/// entropies of rows and of columns against the diagonal. The gradient of logit_scale is added to
/// `logit_scale_gradient`. Batches beyond kDenseLossPairs go in tiles.
[[nodiscard]] LossAndGradients ContrastiveLoss(const FeaturePair& features,
                                               const at::Tensor& logit_scale,
                                               const at::Tensor& logit_scale_gradient);

inline constexpr int64_t kDenseLossPairs = 2048;

/// The same without ever holding the B x B logits: tiles of `tile` x `tile` logits are made twice,
/// once for the running logsumexp of rows and columns and once for the gradients (the scheme of
/// Inf-CL, Cheng et al. 2024). Beyond features and gradients it holds three tiles and two
/// B-vectors.
[[nodiscard]] LossAndGradients TiledContrastiveLoss(const FeaturePair& features,
                                                    const at::Tensor& logit_scale,
                                                    const at::Tensor& logit_scale_gradient,
                                                    int64_t tile);

}  // namespace sweep
