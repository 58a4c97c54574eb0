#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/guards.h"
#include "fit/law.h"
#include "fit/options.h"
#include "fit/points.h"

namespace sweep {

/// One parameter's estimate in natural units. A limit that does not exist (the data do not bound
/// it, or no interval was asked for) is absent.
struct Estimate {
  std::string name;
  double value = 0;
  std::optional<double> low;
  std::optional<double> high;
  bool fixed = false;  ///< held by the user, or vanished
};

/// The least-squares geometry at the optimum, inner parameters: what the delta method, predictions
/// and comparisons need.
struct Linearisation {
  std::vector<double> inner;  ///< p
  std::vector<double> covariance =
      {};              ///< p×p row-major, zero rows for held parameters; empty where it is singular
  double sigma = 0;    ///< residual standard deviation in the residual's space
  double degrees = 0;  ///< n - free parameters
};

/// Limits of the law's own value at a target, by the same method as the parameters'.
struct TargetLimits {
  Target at;
  std::optional<double> low;
  std::optional<double> high;
};

/// Range of one variable among the fitted points.
struct Range {
  double low = 0;
  double high = 0;
};

/// What a fit found and how far it can be trusted. Not converging, an active bound or a missing law
/// are findings here, not failures.
struct FitReport {
  std::string
      id;  ///< 128-bit hash of points, law and options: a figure can be traced, a forecast sealed
  std::string law;      ///< name
  std::string formula;  ///< as documented; fixes the sign convention
  Json group =
      Json::object();     ///< which points, e.g. {"curve": "laion", "task": …}; set by the caller
  std::string kind = {};  ///< of the points, where they have one; `all` for any; set by the caller
  /// Ends of runs that are of other kinds and were left out, by kind; set by the caller.
  std::map<std::string, std::size_t> kinds_left_out = {};
  std::size_t n = 0;  ///< points fitted, after selection
  std::vector<Estimate> estimates;
  double objective = 0;  ///< ½ Σ w·rho(r²), for lad Σ w·|r|
  Residual residual = Residual::kLog;
  Loss loss;
  Selection select;
  Intervals intervals;  ///< as used, never kAuto
  double level = 0.95;
  std::optional<double> r_squared;  ///< of the residual's space, squared loss only
  std::size_t starts = 0;           ///< starting points whose objective was evaluated
  std::size_t starts_polished = 0;  ///< of these, finished to convergence
  std::size_t starts_at_best = 0;   ///< of these, within 1e-6 (relative) of the best objective
  std::vector<std::string>
      active_bounds;  ///< "e_inf = 0" and the like: a finding, without a symmetric interval
  std::optional<double>
      condition_number;  ///< of the Jacobian with columns of length one; absent where singular
  std::vector<ExcludedPoint> excluded;
  std::vector<std::string> warnings;
  Guards guards;        ///< what the points were like before any law
  std::string stopped;  ///< why the search ended
  Linearisation linearisation;
  std::vector<TargetLimits> targets;    ///< of FitOptions::targets, by profile or bootstrap
  std::map<std::string, Range> ranges;  ///< of each variable
  Constants constants;
  Json law_choice;  ///< how `auto` chose the law; null otherwise
  /// What follows from the estimates, as the law defines it.
  std::map<std::string, double> derived;

  /// Throws Failure(kUsage) when the law has no such parameter.
  [[nodiscard]] const Estimate& At(std::string_view parameter) const;
};

/// One element of "fits" in schema sweep.fit/1.
[[nodiscard]] Json ToJson(const FitReport& report);

/// {"schema": "sweep.fit/1", "fits": […]}.
[[nodiscard]] Json ToJson(const std::vector<FitReport>& reports);

/// One line: the formula with its numbers, intervals of the exponents, n, warnings counted.
[[nodiscard]] std::string ShortText(const FitReport& report);

/// Everything a reader needs to judge the fit, one fact a line.
[[nodiscard]] std::string FullText(const FitReport& report);

}  // namespace sweep
