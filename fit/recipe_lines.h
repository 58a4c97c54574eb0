#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fit/line.h"
#include "fit/options.h"
#include "fit/points.h"

namespace sweep {

/// A curve as its recipe has it: all points of variable C, and what is selected from them before
/// the log-log line. Refers to the points.
struct RecipeCurve {
  const PointTable* points = nullptr;
  Selection select;
};

/// The log-log line of a recipe; nothing with fewer than two different C.
[[nodiscard]] std::optional<Line> LineOfRecipe(const PointTable& points, const Selection& select);

/// Welch's test of two slopes, its level calibrated by simulation: both curves get a common slope
/// and the noise of their own points (residuals of the line through all of them, resampled; normal
/// where there are fewer than five), the recipe is applied again, and the p-value is the share of
/// simulated statistics as far out on either side. Minima of bins are order statistics, for which
/// Student's distribution does not hold.
[[nodiscard]] std::optional<double> CalibratedWelchP(const RecipeCurve& first,
                                                     const RecipeCurve& second,
                                                     int simulations,
                                                     std::uint64_t seed);

/// Exponent differences over many evaluation sets of the same models. Models repeat on every set,
/// so they are what is resampled: a draw of models applies to all sets at once.
struct ClusteredDifference {
  std::size_t sets = 0;
  std::size_t first_steeper = 0;  ///< sets on which the first curve's slope is the lower one
  double mean = 0;                ///< mean over sets of first minus second
  std::optional<double> low = {}, high = {};            ///< of the mean
  std::optional<double> sets_low = {}, sets_high = {};  ///< of the number of sets
  std::size_t clusters_first = 0, clusters_second = 0;  ///< models of each curve
};
struct SetPair {
  RecipeCurve first;
  RecipeCurve second;
};
[[nodiscard]] ClusteredDifference CompareOverSets(const std::vector<SetPair>& sets,
                                                  double level,
                                                  int resamples,
                                                  std::uint64_t seed);

}  // namespace sweep
