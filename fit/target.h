#pragma once

#include <map>
#include <string>

#include "fit/law.h"

namespace sweep {

/// A place at which a law's value is asked for: variables and their values, natural units.
using Target = std::map<std::string, double>;

/// The target as a table of one point with the law's variables (C and x name one axis). Throws
/// Failure(kUsage) when a variable of the law is missing or not positive.
[[nodiscard]] PointTable TargetPoint(const Law& law, const Target& at);

/// The target with the law's variables alone, by the law's names. Throws as TargetPoint.
[[nodiscard]] Target TargetOfLaw(const Law& law, const Target& at);

/// A law's value at a target as a function of its inner parameters.
class ValueAtTarget {
 public:
  ValueAtTarget(const Law& law, const Constants& constants, Residual space, const Target& at);

  /// In the residual's space: ln f or f.
  [[nodiscard]] double operator()(const std::vector<double>& inner);
  /// Of the value in the residual's space by each inner parameter.
  [[nodiscard]] std::vector<double> Gradient(const std::vector<double>& inner);

 private:
  Residual space_;
  std::unique_ptr<BoundLaw> bound_;
  Evaluation evaluation_;
};

}  // namespace sweep
