#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/report.h"

namespace sweep {

/// How far a target lies outside the fitted points in one variable.
struct Beyond {
  std::string variable;
  double factor =
      1;  ///< target over the largest fitted value, or smallest over target; 1 inside the data
};

/// What a law says at one target.
struct Prediction {
  Target at;  ///< natural units
  double value = 0;
  std::optional<double> mean_low, mean_high;  ///< interval of the law itself at the target
  std::optional<double> low, high;            ///< interval of one new measurement there
  std::string
      method;  ///< of these intervals: "profile", "bootstrap:1000:pairs", "t"; empty without
  std::vector<Beyond> beyond;
  std::string warning;  ///< what to think of the distance; empty inside the data
};

/// Value and intervals of a fitted law at a target. A target among FitOptions::targets has the
/// limits of the fit's own method (profile, bootstrap); any other, and t and delta, the
/// linearisation carried to the target, Student's t with the fit's degrees of freedom, in the
/// residual's space: exact for the log-log line, too narrow far beyond the data for a law with a
/// floor. No intervals where the fit has no covariance. Throws Failure(kUsage) when a variable of
/// the law is missing or not positive.
[[nodiscard]] Prediction Predict(const FitReport& report, const Target& at);

/// The same for a law outside the registry.
[[nodiscard]] Prediction PredictLaw(const Law& law, const FitReport& report, const Target& at);

[[nodiscard]] Json ToJson(const Prediction& prediction);

}  // namespace sweep
