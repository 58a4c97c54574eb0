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

enum class Tower { kNone, kVision, kText };

/// Where in the model a parameter sits.
struct ParameterPlace {
  Tower tower = Tower::kNone;
  int64_t layer = 0;      ///< embeddings 0, block i is i + 1, what follows the blocks L + 1
  bool position = false;  ///< embedding of a position or of the class token
};

/// One trained tensor of a CLIP.
struct ParameterInfo {
  std::string name;            ///< open_clip's state-dict key
  std::vector<int64_t> shape;  ///< empty for the logit scale and bias
  Initial initial;
  ParameterPlace place = {};
  [[nodiscard]] int64_t size() const;
  /// Weight decay spares gains, biases and the logit scale: fewer than two dimensions.
  [[nodiscard]] bool decays() const { return shape.size() >= 2; }
  /// Gain or bias of a LayerNorm.
  [[nodiscard]] bool norm() const;
};

/// All parameters of a model in open_clip's order, names, shapes and initial distributions
/// (open_clip's CLIP class; recipes in docs/trainer.md).
[[nodiscard]] std::vector<ParameterInfo> ListParameters(const ModelSpec& model);

/// logit_scale = ln(1/0.07) at the start and at most ln(100) (Radford et al. 2021).
inline constexpr double kInitialLogitScale = 2.6592600369327783;
/// With the sigmoid loss, ln(10), and a bias of -10 (Zhai et al. 2023).
inline constexpr double kInitialSigmoidScale = 2.302585092994046;
inline constexpr double kInitialLogitBias = -10;
inline constexpr double kMostLogitScale = 4.605170185988092;

/// First values of parameter `info` for a run's seed: the same on every machine and device.
[[nodiscard]] std::vector<float> InitialValues(const ParameterInfo& info, int64_t seed);

}  // namespace sweep
