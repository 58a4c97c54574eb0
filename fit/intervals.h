#pragma once

#include <optional>
#include <vector>

#include "fit/options.h"
#include "fit/problem.h"
#include "fit/report.h"
#include "fit/search.h"

namespace sweep {

/// Limits of one quantity in natural units; absent where the data do not bound it.
struct Limits {
  std::optional<double> low;
  std::optional<double> high;
};

/// What a fit is asked limits of: its parameters and its value at FitOptions::targets.
struct LimitsOfFit {
  std::vector<Limits> parameters;
  std::vector<Limits> targets = {};  ///< empty: the linearisation says all there is to say
};

/// estimate ± t·standard error in inner parameters (so that a positive coefficient has positive
/// limits), carried to natural units. Exact for log-log least squares; the delta method for other
/// laws. Nothing for parameters that are held, vanished or at a bound: no symmetric interval there.
[[nodiscard]] std::vector<Limits> StudentLimits(const Problem& problem,
                                                const Linearisation& at,
                                                double level);

/// Profile likelihood calibrated by F(1, n-p) (Bates and Watts 1988, ch. 6): all values at which
/// the other parameters, fitted again, leave the objective below F0 (1 + F/(n-p)); for robust
/// losses the drop is scaled by Σpsi²/(n-p) over the mean of psi' (Schrader and Hettmansperger
/// 1980). The law's value at a target is profiled in the same way, as if it were a parameter: a
/// further point at the target pulls the law to each value. A search that meets a lower objective
/// than the best known hands it back in `better`.
struct ProfileResult {
  LimitsOfFit limits;
  std::optional<Minimum> better;
};
[[nodiscard]] ProfileResult ProfileLimits(const Problem& problem,
                                          const SearchResult& found,
                                          const Linearisation& at,
                                          const FitOptions& options);

/// Percentiles (or BCa limits) of refits to resampled points, each warm-started from the estimate;
/// a selection is applied again to every resample, so that the uncertainty of choosing the frontier
/// is in it. `original`: the points before selection.
inline constexpr std::size_t kFewResamples = 20;  ///< fewer have no percentiles
struct BootstrapResult {
  LimitsOfFit limits;
  std::vector<std::vector<double>>
      estimates;           ///< one row of inner parameters for each usable resample
  std::size_t failed = 0;  ///< resamples that could not be fitted (all at one compute …)
};
[[nodiscard]] BootstrapResult BootstrapLimits(const Problem& problem,
                                              const PointTable& original,
                                              const SearchResult& found,
                                              const FitOptions& options,
                                              const Intervals& how);

}  // namespace sweep
