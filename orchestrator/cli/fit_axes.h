#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "fit/compare.h"
#include "orchestrator/cli/fit_curves.h"

namespace sweep {

/// Which columns of its design a curve's points vary in, and which it holds at one value.
/// `columns`: which to look at; empty: the usual ones of a training run.
struct Axes {
  std::vector<std::string> varying;  ///< "model (3)", "samples_seen (12)"
  std::vector<std::string> held;     ///< "pretraining_dataset CLIP-WIT"
};
[[nodiscard]] Axes AxesOf(const Table& rows,
                          const std::vector<std::size_t>& members,
                          const std::vector<std::string>& columns = {});

/// Points of two curves that agree in the columns `match` (numbers within 5 %; by default model and
/// samples_seen): the comparison that their designs do not decide. Where the second curve has
/// several such points (other data sets), its lowest error counts.
struct MatchedCell {
  std::vector<std::string> first;  ///< values of the matched columns
  std::vector<std::string> second;
  double error_first = 0;
  double error_second = 0;
};
struct MatchedComparison {
  std::vector<std::string> columns;  ///< what agrees
  std::vector<MatchedCell> cells;
  std::optional<ExponentDifference> exponents;  ///< with at least three cells at different compute
  double mean_log_ratio = 0;                    ///< mean of ln(error first / error second)
  std::optional<double> low, high;              ///< its paired t interval, two cells or more
};
[[nodiscard]] MatchedComparison CompareMatched(const CurvePoints& first,
                                               const CurveCell& a,
                                               const CurvePoints& second,
                                               const CurveCell& b,
                                               double level,
                                               const std::vector<std::string>& match = {});

[[nodiscard]] Json ToJson(const Axes& axes);
[[nodiscard]] Json ToJson(const MatchedComparison& matched);

}  // namespace sweep
