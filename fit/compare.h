#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/fit.h"

namespace sweep {

/// One curve to compare: power law in C over points chosen by its own recipe.
struct CurveFit {
  std::string name;
  FitReport fit;
};

/// Two exponents against each other. Differences are first minus second.
struct ExponentDifference {
  std::string first;
  std::string second;
  double difference = 0;      ///< alpha of the first minus alpha of the second
  double standard_error = 0;  ///< of the difference, from both lines' least-squares errors
  double t = 0;
  double degrees = 0;  ///< Welch–Satterthwaite
  double p = 1;        ///< two-sided
  double low = 0;      ///< interval of the difference at the fits' level
  double high = 0;
  bool testable = false;           ///< false when a line has no degrees of freedom left
  std::optional<double> crossing;  ///< C at which the lines meet
  std::optional<double> crossing_low,
      crossing_high;     ///< where the data cannot say which is better; absent ends are unbounded
  std::string sentence;  ///< which is steeper, and whether the data can tell
};

/// Fits a power law (log-log least squares) to each table with its own options; the comparison
/// rests on lines, so law, residual and loss of the options must be those of `power`. Throws as Fit
/// does.
[[nodiscard]] ExponentDifference CompareExponents(const CurveFit& first, const CurveFit& second);

/// Probability that the first curve's law has the lower observable at C, given both lines'
/// uncertainty (normal errors, Welch degrees of freedom).
[[nodiscard]] double ProbabilityFirstBetter(const FitReport& first,
                                            const FitReport& second,
                                            double c);

[[nodiscard]] Json ToJson(const ExponentDifference& difference);

}  // namespace sweep
