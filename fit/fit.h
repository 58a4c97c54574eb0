#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fit/law.h"
#include "fit/options.h"
#include "fit/points.h"
#include "fit/report.h"

namespace sweep {

/// Fits options.law to the points: checks them, selects, searches from many starts, finishes the
/// best with Ceres and Newton's method, measures uncertainty. Throws Failure(kData) naming the
/// points when they cannot be fitted (too few, not positive, all at one compute …) and
/// Failure(kUsage) for options the law does not have; everything else, also not converging, is in
/// the report.
[[nodiscard]] FitReport Fit(const PointTable& points, const FitOptions& options);

/// The same for a law outside the registry.
[[nodiscard]] FitReport FitLaw(const PointTable& points, const Law& law, const FitOptions& options);

/// Several tables at once on options.threads threads; reports in the tables' order, the same for
/// any number of threads. A table that cannot be fitted gives the failure's message instead of a
/// report.
struct FitOutcome {
  std::optional<FitReport> report;
  std::string failure;
};
[[nodiscard]] std::vector<FitOutcome> FitAll(const std::vector<PointTable>& tables,
                                             const FitOptions& options);

}  // namespace sweep
