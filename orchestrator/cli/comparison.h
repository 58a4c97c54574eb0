#pragma once

#include <string>
#include <vector>

#include "fit/recipe_lines.h"
#include "orchestrator/cli/fit_axes.h"
#include "orchestrator/cli/fit_curves.h"

namespace sweep {

/// What `compare` was asked.
struct CompareWords {
  FitWords fit;
  std::vector<std::string> curves;
  std::vector<std::string> match;  ///< columns that matched points agree in
  std::string adjust = "holm";     ///< holm, bh or none
  double at = 0;                   ///< which is better at this compute; 0: not asked
};

/// Two curves on one evaluation set.
struct ComparedPair {
  std::size_t first = 0;  ///< index into ComparedCell::fits
  std::size_t second = 0;
  ExponentDifference difference;
  MatchedComparison matched;
  double adjusted_p = 1;
  std::optional<double> calibrated_p;  ///< where a recipe selects points
  std::optional<double> first_better;  ///< probability at CompareWords::at
};

/// Everything about one evaluation set.
struct ComparedCell {
  std::string task, eval_dataset, metric;
  std::vector<CurveFit> fits;
  std::vector<Axes> axes;
  CommonSlope common;
  std::vector<double> best;  ///< probability of each to be lowest at CompareWords::at
  std::vector<ComparedPair> pairs;
};

/// Two curves over all the sets that both were measured on.
struct ComparedOverSets {
  std::string first, second;
  ClusteredDifference difference;
};

/// Curves side by side on every evaluation set that at least two of them have.
struct Comparison {
  std::vector<ComparedCell> cells;
  std::vector<ComparedOverSets> over_sets;  ///< where there are two sets or more
  std::vector<std::string> failures;        ///< sets that could not be compared, and why
  std::size_t tests = 0;                    ///< the family p-values are adjusted over
  double level = 0.95;
  /// "the 10 tests of exponents made here: 1 pair of curves on 10 evaluation sets".
  [[nodiscard]] std::string Family() const;
};

/// Compares curves of a mapped table (--map, --by), of the store, or published ones. Throws
/// Failure(kUsage) for unknown curves, Failure(kData) when nothing can be compared.
[[nodiscard]] Comparison MakeComparison(const GlobalOptions& global, const CompareWords& words);

/// Schema sweep.compare/1.
[[nodiscard]] Json ToJson(const Comparison& comparison, const CompareWords& words);

/// For laws that are no line: groups of a mapped table fitted each and together, as text and as
/// JSON (schema sweep.compare_laws/1).
[[nodiscard]] int CompareLaws(const GlobalOptions& global, const CompareWords& words);

}  // namespace sweep
