#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/fit.h"

namespace sweep {

/// One curve with its points under each definition of compute.
struct MultiverseCurve {
  std::string name;
  std::map<std::string, PointTable> points;  ///< definition of C -> points of C; same rows
};

/// The choices that a careful analyst could have made, each with its alternatives in the words of
/// the command line. Their product is the multiverse.
struct MultiverseChoices {
  std::vector<std::string> select = {
      "all", "pareto", "binned:4", "binned:5", "binned:6", "quantile:0.25:5"};
  std::vector<std::string> loss = {"squared", "huber:0.01", "lad"};
  std::vector<std::string> residual = {"log", "linear"};
  std::vector<std::string> law = {"power", "power_floor"};
  std::vector<std::string> drop = {"0", "1", "2"};  ///< points of least compute left out
};

/// What one curve gives under one set of choices.
struct Outcome {
  std::size_t n = 0;
  double alpha = 0;
  std::optional<double> low = {}, high = {};  ///< delta method
  std::optional<double> error = {};           ///< standard error of alpha
  double degrees = 0;
  std::string failure = {};  ///< why there is no fit; empty otherwise
};

/// One cell of the product: choices by factor ("select" -> "pareto"), and an outcome a curve.
struct Specification {
  std::map<std::string, std::string> choices;
  std::vector<Outcome> outcomes;
  std::optional<double> difference = {}, p = {};  ///< first less second curve's alpha; Welch
};

/// How far one factor's choice moves the result.
struct FactorEffect {
  std::string factor;
  std::map<std::string, double> mean;  ///< of the result, by alternative
  double share =
      0;  ///< of the result's variance over specifications that the factor explains alone
};

/// Alpha of one curve, or the difference of two.
struct MultiverseSummary {
  std::size_t specifications = 0;  ///< that could be fitted
  std::size_t failed = 0;
  double median = 0, low_quartile = 0, high_quartile = 0, least = 0, most = 0;
  double reference = 0;    ///< of the first specification: every factor's first alternative
  double flipped = 0;      ///< share whose sign is not the reference's
  double significant = 0;  ///< share that the data alone call different from zero at the level
  std::vector<FactorEffect> effects;  ///< largest share first
};

struct Multiverse {
  std::vector<std::string> curves;
  std::vector<std::string> factors;
  std::vector<Specification> specifications;
  std::vector<MultiverseSummary>
      summaries;  ///< one a curve, then of the difference where there are two
  double level = 0.95;
};

/// Fits every specification to every curve. A curve of fewer than six points has no choice of
/// selection or of points to drop: all of them count there. Choices that the options fix by hand
/// are not varied. Throws Failure(kData) when no specification can be fitted.
[[nodiscard]] Multiverse RunMultiverse(const std::vector<MultiverseCurve>& curves,
                                       const MultiverseChoices& choices,
                                       const FitOptions& options);

/// One element of "multiverses" in schema sweep.multiverse/1; the specifications in order of the
/// first curve's alpha (of the difference where there are two curves): a specification curve.
[[nodiscard]] Json ToJson(const Multiverse& multiverse);

/// The specification curve as a drawing: results in order above, which choices made them below
/// (Simonsohn, Simmons and Nelson 2020).
[[nodiscard]] std::string SpecificationCurveSvg(const Multiverse& multiverse,
                                                const std::string& title);

}  // namespace sweep
