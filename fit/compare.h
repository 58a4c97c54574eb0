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

/// Do all curves share one exponent? Welch's analysis of variance (1951) on the slopes, each with
/// its own line's error; for two curves it is the square of Welch's t.
struct CommonSlope {
  double slope = 0;  ///< precision-weighted mean of the exponents
  std::optional<double> low, high;
  double f = 0;
  double degrees1 = 0, degrees2 = 0;
  double p = 1;
  bool testable = false;  ///< false when a line has no degrees of freedom left
};
[[nodiscard]] CommonSlope TestCommonSlope(const std::vector<CurveFit>& curves);

/// Probability of each curve's law to have the lowest observable at C: the integral over Student's
/// distributions of the lines there.
[[nodiscard]] std::vector<double> ProbabilitiesOfBest(const std::vector<CurveFit>& curves,
                                                      double c);

/// One law for all groups against a law for each: the extra sum of squares (Bates and Watts 1988,
/// ch. 3). Squared losses only.
struct CommonLaw {
  double f = 0;
  double degrees1 = 0, degrees2 = 0;
  double p = 1;
  bool testable = false;
};
[[nodiscard]] CommonLaw TestCommonLaw(const FitReport& pooled, const std::vector<CurveFit>& groups);

/// One parameter of two fits of the same law: Welch's test in inner parameters (the logarithm of
/// positive ones). Nothing where a fit has no standard error for it.
struct ParameterDifference {
  std::string parameter;
  double first = 0, second = 0;  ///< natural units
  double t = 0, degrees = 0, p = 1;
};
[[nodiscard]] std::vector<ParameterDifference> CompareParameters(const FitReport& first,
                                                                 const FitReport& second);

/// Probability that the first curve's law has the lower observable at C, given both lines'
/// uncertainty: ProbabilitiesOfBest of the two.
[[nodiscard]] double ProbabilityFirstBetter(const FitReport& first,
                                            const FitReport& second,
                                            double c);

[[nodiscard]] Json ToJson(const ExponentDifference& difference);
[[nodiscard]] Json ToJson(const CommonSlope& common);
[[nodiscard]] Json ToJson(const CommonLaw& common);
[[nodiscard]] Json ToJson(const ParameterDifference& difference);

}  // namespace sweep
