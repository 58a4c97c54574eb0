#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "fit/law.h"
#include "fit/points.h"

namespace sweep {

/// Where weights come from that a column does not give.
enum class Weighting {
  kGiven,         ///< PointTable::weights, or ones
  kBinomial,      ///< PointTable::sample_sizes: an error E over n examples has variance E(1-E)/n
  kSeedVariance,  ///< the spread of points that agree in every variable
};

/// What seeds are to a fit.
enum class Seeds {
  kPooled,  ///< every run is a point
  kRandom,  ///< runs that agree in every variable share a random deviation: their mean is the point
};

/// "pooled", "random". Throws Failure(kUsage).
[[nodiscard]] Seeds ParseSeeds(std::string_view text);
/// "binomial" and "seed_variance", which stand where a column may; nothing for other words.
[[nodiscard]] std::optional<Weighting> FindWeighting(std::string_view text);
[[nodiscard]] std::string_view ToString(Seeds seeds);
[[nodiscard]] std::string_view ToString(Weighting weighting);

/// The points with weights = 1 / variance in the residual's space, scaled to a mean of one.
/// - Sample size: E(1-E)/n, divided by E² for logarithms; E is (nE + ½)/(n + 1) (Agresti), so that
///   0 and 1 keep a variance.
/// - Seed variance: of each cell of points that agree in every variable, drawn towards the pooled
///   one as if that had been seen on four degrees of freedom (a variance of two or three seeds says
///   little); points without a second seed have the pooled variance.
/// Throws Failure(kData): no sample sizes, an observable that is no error, no second seed anywhere.
[[nodiscard]] PointTable WithWeights(PointTable points, Weighting weighting, Residual space);

/// Variance between runs of one cell, and the points one a cell.
struct SeedCells {
  PointTable means;  ///< geometric means for log residuals; clusters and labels of the first
  std::vector<double> runs;  ///< how many runs each mean has
  double seed_variance = 0;  ///< pooled, in the residual's space
  double seed_degrees = 0;   ///< runs less cells
};
[[nodiscard]] SeedCells AverageSeeds(const PointTable& points, Residual space);

}  // namespace sweep
