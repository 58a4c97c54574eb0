#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// A setting that is no variable of the law but may move with one (learning rate, batch size).
struct Covariate {
  std::string name;
  std::vector<double> values;  ///< n
};

/// Points to fit: n measurements, each with the variables of a law (positive numbers in natural
/// units), an observable, a weight, and a name by which a report can speak of it ("row 12", a run's
/// id).
struct PointTable {
  std::vector<std::string> variables = {};        ///< names, "C", "N", "D", …
  std::vector<std::vector<double>> columns = {};  ///< columns[v][i]: variable v of point i
  std::string observable = "L";  ///< "E": a fraction in (0, 1]; "L": positive; "drop": any number
  std::vector<double> y = {};    ///< the observable, n values
  std::vector<double> weights = {};      ///< n non-negative weights; empty: all are 1
  std::vector<std::string> labels = {};  ///< n names for messages; empty: "point 1", "point 2", …
  std::vector<std::string> clusters =
      {};  ///< n group names for the stratified bootstrap; may be empty
  std::vector<double> sample_sizes = {};   ///< examples behind each observable; may be empty
  std::vector<Covariate> covariates = {};  ///< settings to look at before a law is fitted

  [[nodiscard]] std::size_t size() const { return y.size(); }
  [[nodiscard]] bool Has(std::string_view variable) const;
  /// Throws Failure(kData) naming the variable when the table has none of that name.
  [[nodiscard]] const std::vector<double>& Column(std::string_view variable) const;
  [[nodiscard]] std::string Label(std::size_t i) const;
  [[nodiscard]] double Weight(std::size_t i) const { return weights.empty() ? 1 : weights[i]; }
  /// The points of the given indices, in that order. Without labels the new points are numbered
  /// anew.
  [[nodiscard]] PointTable Subset(std::span<const std::size_t> indices) const;
};

/// A point that does not take part in a fit, and why.
struct ExcludedPoint {
  std::string label;
  std::string reason;
};

/// Throws Failure(kData) naming the offending points and what was expected: non-finite or
/// non-positive variables and observables, E above 1 (with the hint that it may be a percentage),
/// negative weights, columns of unequal length.
void CheckPoints(const PointTable& points);

/// One sentence for each pair of points that agree in every variable and in the observable: both
/// count, so a table that was pasted twice shows.
[[nodiscard]] std::vector<std::string> DuplicateWarnings(const PointTable& points);

}  // namespace sweep
