#pragma once

#include <cstdint>

#include "core/model_spec.h"
#include "core/run_spec.h"

namespace sweep {

/// Parameters by tower, and those of the loss: the logit scale and SigLIP's logit bias.
struct ParameterCount {
  int64_t vision = 0;
  int64_t text = 0;
  int64_t loss = 1;
  [[nodiscard]] int64_t total() const { return vision + text + loss; }
};

/// Exact number of trained parameters, equal to open_clip's for the same dimensions.
[[nodiscard]] ParameterCount CountParameters(const ModelSpec& model);

/// 10^9 multiply-accumulates of one forward pass of one image-text pair, by tower.
struct ForwardGmacs {
  double vision = 0;
  double text = 0;
  [[nodiscard]] double total() const { return vision + text; }
};

/// Linear layers, attention products, projections, and LayerNorm at 5 MACs an element; causal
/// attention is counted in full and token look-up is free. This convention gives the published GMAC
/// tables of the CLIP models to their two decimals (open_clip's architecture table;
/// scaling-laws-openclip's `gmacs`). Patches that `reduction` drops are not processed and do not
/// count.
[[nodiscard]] ForwardGmacs CountForwardGmacs(const ModelSpec& model,
                                             const TokenReductionSpec& reduction = {});

/// Floating-point operations of training for each forward GMAC: a MAC is two, and backward costs
/// twice forward.
inline constexpr double kTrainFlopsPerGmac = 6e9;

/// Floating-point operations of training per sample.
[[nodiscard]] double TrainFlopsPerSample(const RunSpec& spec);

}  // namespace sweep
