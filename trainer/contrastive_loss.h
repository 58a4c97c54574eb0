#pragma once

#include <ATen/core/Tensor.h>

#include "core/compute.h"
#include "trainer/peers.h"

namespace sweep {

/// B pairs of unit features of E numbers, fp32.
struct FeaturePair {
  at::Tensor images_BE;
  at::Tensor texts_BE;
};

struct LossAndGradients {
  at::Tensor loss;       ///< scalar, nats a pair, over all processes' pairs
  FeaturePair gradient;  ///< of this process's features
};

/// Scalars of the loss, and where their gradients are added: of this process's share, so that the
/// sum over all processes is the whole. Undefined bias: the softmax loss, else the sigmoid one.
struct LossScalars {
  at::Tensor logit_scale, logit_scale_gradient;
  at::Tensor logit_bias = {}, logit_bias_gradient = {};
};

struct LossOptions {
  int64_t tile = kLossTilePairs;  ///< side of the tiles of logits
  Peers* peers = nullptr;         ///< null: this process has all pairs
};

/// With logits = exp(logit_scale) * images_BE @ texts_BE' (+ logit_bias):
/// softmax: the mean of the cross entropies of rows and of columns against the diagonal (Radford et
/// al. 2021); sigmoid: -sum log sigmoid(z logits) / B with z = 1 on the diagonal, -1 elsewhere
/// (Zhai et al. 2023).
///
/// The B x B logits are never held: tiles of them are made twice, once for the running logsumexp of
/// rows and columns and once for the gradients (the scheme of Inf-CL, Cheng et al. 2024), or once
/// where one tile is all there is. Beyond features and gradients that takes three tiles and two
/// vectors. With peers, each process makes the rows of its own images against all texts: the global
/// batch's loss and gradients, with 1/W of the work.
[[nodiscard]] LossAndGradients ContrastiveLoss(const FeaturePair& features,
                                               const LossScalars& scalars,
                                               const LossOptions& options = {});

}  // namespace sweep
