#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fit/law.h"
#include "fit/target.h"
#include "fit/weighting.h"

namespace sweep {

/// rho in the objective ½ Σ w·rho(r²), defined as scipy's least_squares and Ceres define it; for
/// `lad` the objective is Σ w·|r|. Sums, never means: the place where a solver stops must not
/// depend on the number of points.
enum class LossKind { kSquared, kHuber, kLad, kCauchy, kTukey };
struct Loss {
  LossKind kind = LossKind::kSquared;
  double scale = 1;  ///< where it bends, in units of the residual: huber:1e-3, cauchy:c, tukey:c
};

/// Which points enter. Frontiers are taken along the law's first variable (a selection needs a law
/// of one variable, or a variable named C).
enum class SelectKind { kAll, kPareto, kBinned, kQuantile };
struct Selection {
  SelectKind kind = SelectKind::kAll;
  int bins = 5;           ///< binned:k and quantile:q:k
  double quantile = 0.1;  ///< quantile:q:k: the points at or below this quantile of their bin
};

enum class IntervalKind { kAuto, kStudent, kProfile, kDelta, kBootstrap, kNone };
/// What a bootstrap draws: whole points, points within each cluster, whole clusters, residuals;
/// BCa corrects pairs' bias and skew.
enum class Resampling { kPairs, kStratified, kCluster, kResidual, kBca };
struct Intervals {
  IntervalKind kind =
      IntervalKind::kAuto;  ///< t for log-log least squares, profile for other laws,
                            ///< bootstrap with reselection when points were selected
  int resamples = 1000;
  Resampling resampling = Resampling::kPairs;
};

/// Natural-unit range of a parameter.
struct Bounds {
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
};

/// Everything a fit can be told; the defaults are what `sweep fit` does.
struct FitOptions {
  std::string law = "power";  ///< a name of Laws(), or "auto": ChooseLaw decides
  Selection select;           ///< which points enter
  std::optional<Residual>
      residual;  ///< absent: the law's own, linear where an observable is zero or below
  Loss loss;     ///< squared, unless outliers are to weigh less
  Weighting weighting = Weighting::kGiven;  ///< where weights come from
  Seeds seeds = Seeds::kPooled;             ///< every run a point, or a random effect
  /// The observable of a model that knows nothing (0.999 for a thousand classes): points that are
  /// not below it are left out.
  std::optional<double> chance;
  std::map<std::string, double> fix;     ///< parameters held at a value, natural units
  std::map<std::string, Bounds> bounds;  ///< narrower ranges for parameters, natural units
  Constants constants;                   ///< the law's constants, T0=197
  std::size_t starts = 0;                ///< how many starting points; 0: what the law finds enough
  bool grid = false;                     ///< start from the law's declared grid
  bool race = true;  ///< drop starts that fall behind early; false: finish every one
  std::map<std::string, double>
      start;  ///< a starting point of the user's own, natural units, instead of a search
  std::size_t departures =
      24;                  ///< further starts around the user's own, by factors about a half to two
  std::uint64_t seed = 0;  ///< shifts starting points and resamples
  Intervals intervals;     ///< how uncertainty is measured
  std::vector<Target> targets;  ///< where the law's value is to have an interval, too
  double level = 0.95;          ///< of the intervals
  int threads = 1;              ///< results do not depend on it
};

/// "squared", "huber:1e-3", "lad", "cauchy:c", "tukey:c". Throws Failure(kUsage).
[[nodiscard]] Loss ParseLoss(std::string_view text);
/// "all", "pareto", "binned:5", "quantile:0.1:5". Throws Failure(kUsage).
[[nodiscard]] Selection ParseSelection(std::string_view text);
/// "auto", "t", "profile", "delta", "bootstrap:1000", "bootstrap:1000:residual" (or stratified,
/// cluster, bca), "none".
[[nodiscard]] Intervals ParseIntervals(std::string_view text);
/// "log", "linear".
[[nodiscard]] Residual ParseResidual(std::string_view text);

[[nodiscard]] std::string ToString(const Loss& loss);
[[nodiscard]] std::string ToString(const Selection& selection);
[[nodiscard]] std::string ToString(const Intervals& intervals);
[[nodiscard]] std::string ToString(Residual residual);

}  // namespace sweep
