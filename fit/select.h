#pragma once

#include <vector>

#include "fit/options.h"
#include "fit/points.h"

namespace sweep {

/// The points a selection keeps, and the others with the reason.
struct Selected {
  PointTable points;
  std::vector<ExcludedPoint> excluded;
};

/// Which points a selection keeps, and where along the axis they stand (bin centres for binned).
struct Frontier {
  std::vector<std::size_t> kept;
  std::vector<double> along;
};
[[nodiscard]] Frontier FindFrontier(const PointTable& points,
                                    const Selection& selection,
                                    const std::string& along);

/// Applies a selection along variable `along` (usually "C"):
/// - all: every point;
/// - pareto: points that no point of equal or smaller `along` undercuts;
/// - binned:k (the recipe of the LAION scaling-law paper's curves): k left-closed bins of equal
/// width in log10 over
///   [min, max + 0.1]; each bin with points gives one point at (bin centre, smallest observable);
///   empty bins drop out;
/// - quantile:q:k: of each of k such bins, the points whose observable is at or below the bin's
/// q-quantile (at least the
///   smallest), at their own `along`.
/// Throws Failure(kUsage) for binned points of a table with a second variable: a bin's centre has
/// no value for it.
[[nodiscard]] Selected Select(const PointTable& points,
                              const Selection& selection,
                              const std::string& along);

}  // namespace sweep
