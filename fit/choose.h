#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/fit.h"

namespace sweep {

/// How one law does on one table, by criteria that can be compared between laws (the same points,
/// residual space and squared loss).
struct LawScore {
  std::string law;
  std::size_t parameters = 0;
  double aicc = 0;  ///< n ln(SS/n) + 2k + 2k(k+1)/(n-k-1), k counts the error variance
  /// Root mean square error of each point predicted from the others.
  std::optional<double> leave_one_out = {};
  /// Root mean square error of points above a compute predicted from those below it.
  std::optional<double> rolling_origin = {};
  std::size_t origins = 0;   ///< points that were predicted so
  std::string failure = {};  ///< why the law could not be fitted; empty otherwise
};

/// Laws of the same variables, best first: by rolling-origin extrapolation where there are enough
/// points for it, else by AICc.
struct LawChoice {
  std::vector<LawScore> scores;
  std::string chosen;
  std::string reason;  ///< in words, for the report
};

/// Scores every law in `names` (all laws whose variables the table has, when empty) and chooses.
/// Points are ordered by the law's first variable (C, x or N·D); each origin fits the lower part
/// (at least half of the points, and two more than parameters) and predicts the next quarter.
/// Throws Failure(kData) when no law can be fitted.
[[nodiscard]] LawChoice ChooseLaw(const PointTable& points,
                                  const FitOptions& options,
                                  const std::vector<std::string>& names = {});

/// Fit with the chosen law: the report carries the choice as `law_choice` and warns that its
/// intervals do not include it.
[[nodiscard]] FitReport FitChosenLaw(const PointTable& points, const FitOptions& options);

/// Akaike's criterion corrected for few points, of least squares; infinite where n is too small.
[[nodiscard]] double Aicc(std::size_t points, double squares, std::size_t parameters);

/// C and x name the same axis: the points under the name that the law has for it.
[[nodiscard]] PointTable AsVariablesOf(const Law& law, PointTable points);

/// The laws that can be fitted to a table with these variables; x stands for C and the other way
/// round.
[[nodiscard]] std::vector<std::string> LawsFor(const std::vector<std::string>& variables);

[[nodiscard]] Json ToJson(const LawChoice& choice);

}  // namespace sweep
