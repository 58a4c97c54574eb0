#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model_spec.h"

namespace sweep {

/// How a parameter's first values are drawn.
struct Initial {
  enum class Kind { kConstant, kNormal, kUniform };
  Kind kind = Kind::kConstant;
  double scale = 0;  ///< the constant; the standard deviation; or the bound: uniform in [-b, b]
};

/// One trained tensor of a CLIP.
struct ParameterInfo {
  std::string name;            ///< open_clip's state-dict key
  std::vector<int64_t> shape;  ///< empty for the logit scale
  Initial initial;
  [[nodiscard]] int64_t size() const;
  /// AdamW's weight decay spares gains, biases and the logit scale: fewer than two dimensions.
  [[nodiscard]] bool decays() const { return shape.size() >= 2; }
  /// Gain or bias of a LayerNorm.
  [[nodiscard]] bool norm() const;
};

/// All parameters of a model in open_clip's order, names, shapes and initial distributions
/// (open_clip's CLIP class; recipes in docs/trainer.md).
[[nodiscard]] std::vector<ParameterInfo> ListParameters(const ModelSpec& model);

/// logit_scale = ln(1/0.07) at the start and at most ln(100) (Radford et al. 2021).
inline constexpr double kInitialLogitScale = 2.6592600369327783;
inline constexpr double kMostLogitScale = 4.605170185988092;

/// First values of parameter `info` for a run's seed: the same on every machine and device.
[[nodiscard]] std::vector<float> InitialValues(const ParameterInfo& info, int64_t seed);

}  // namespace sweep
