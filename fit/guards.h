#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/points.h"

namespace sweep {

/// Does the observable move one way along the scale at all? Kendall's tau-b with its two-sided
/// p-value: exact without ties up to 30 points, else normal with the correction for ties (Kendall
/// 1970).
struct Trend {
  std::string along;  ///< "C", "x", "N*D"
  double tau = 0;
  double p = 1;
  std::size_t n = 0;
};
[[nodiscard]] Trend KendallTrend(std::span<const double> x, std::span<const double> y);

/// Can size and data be told apart by these points? Of the logarithms of N and D.
struct Separability {
  double correlation = 0;
  double condition = 1;  ///< of the two centred columns at length one: sqrt((1+|r|)/(1-|r|))
  double spread = 1;     ///< largest over smallest D/N
};
[[nodiscard]] Separability SeparabilityOf(std::span<const double> n, std::span<const double> d);

/// A setting that moves with compute, so that its effect and compute's cannot be told apart without
/// a model of it.
struct Confounder {
  std::string name;
  double correlation = 0;  ///< Spearman's, with the scale
  double p = 1;            ///< two-sided, t approximation
  /// Slope of ln y on ln scale without and with ln(setting) beside it; absent where the two are
  /// collinear.
  std::optional<double> slope = {}, slope_adjusted = {}, slope_error = {};
};
[[nodiscard]] Confounder ConfounderOf(const std::string& name,
                                      std::span<const double> scale,
                                      std::span<const double> y,
                                      std::span<const double> setting);

/// What was found before any law was fitted.
struct Guards {
  std::optional<Trend> trend;
  std::optional<Separability> separability;
  std::vector<Confounder> confounders;  ///< settings of the table that vary, all of them
  /// One sentence for each finding that a reader must know.
  [[nodiscard]] std::vector<std::string> Warnings() const;
  /// True when N and D are so nearly one variable that separate exponents mean nothing.
  [[nodiscard]] bool Inseparable() const;
};
[[nodiscard]] Guards InspectPoints(const PointTable& points);

[[nodiscard]] Json ToJson(const Guards& guards);

}  // namespace sweep
