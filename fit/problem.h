#pragma once

#include <memory>
#include <vector>

#include "fit/minimize.h"
#include "fit/objective.h"
#include "fit/options.h"
#include "fit/points.h"

namespace sweep {

/// A law bound to points that passed every check: what search and intervals work on. Movable;
/// Objectives made from it refer to it.
struct Problem {
  const Law* law = nullptr;
  PointTable points;
  Constants constants;
  Residual space = Residual::kLog;
  Loss loss;
  std::unique_ptr<BoundLaw> bound;
  std::vector<double> target;  ///< ln y or y
  Box box;                     ///< inner bounds; held: what the user fixed
  std::vector<double> fixed;   ///< inner values of the held parameters, 0 elsewhere

  [[nodiscard]] std::size_t parameters() const { return law->parameters.size(); }
  [[nodiscard]] std::size_t free_parameters() const;
  /// Residual degrees of freedom; zero when there are no more points than parameters.
  [[nodiscard]] double degrees() const;
  [[nodiscard]] Objective MakeObjective() const;
  /// Other weights (a resample), n values that outlive the objective.
  [[nodiscard]] Objective MakeObjective(std::span<const double> weights) const;
};

/// Checks points against law and options and binds them. Throws Failure(kData) for points (too few,
/// all at one value of a variable, not positive in log space), Failure(kUsage) for options (unknown
/// parameters, a fixed value outside its bounds …).
[[nodiscard]] Problem MakeProblem(PointTable points, const Law& law, const FitOptions& options);

/// What a law is compared with: y, or ln y. Throws Failure(kData) naming a point whose y has no
/// logarithm.
[[nodiscard]] std::vector<double> Targets(const PointTable& points, Residual space);

/// The law's constants with the user's values in place. Throws Failure(kUsage) for a name the law
/// does not know.
[[nodiscard]] Constants ResolveConstants(const Law& law, const Constants& given);

}  // namespace sweep
