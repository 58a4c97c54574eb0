#include "fit/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr std::size_t kNamedInMessages = 5;

// "row 3 (value -1), row 9 (value nan) and 4 more"
std::string Name(const PointTable& points,
                 const std::vector<double>& values,
                 const std::vector<std::size_t>& offenders) {
  std::string text;
  for (std::size_t k = 0; k < std::min(offenders.size(), kNamedInMessages); ++k) {
    const std::size_t i = offenders[k];
    text += fmt::format("{}{} ({})", k > 0 ? ", " : "", points.Label(i), values[i]);
  }
  if (offenders.size() > kNamedInMessages) {
    text += fmt::format(" and {} more", offenders.size() - kNamedInMessages);
  }
  return text;
}

template <class Bad>
std::vector<std::size_t> Offenders(const std::vector<double>& values, Bad bad) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (bad(values[i])) found.push_back(i);
  }
  return found;
}

template <class Bad>
void Require(const PointTable& points,
             const std::string& what,
             const std::vector<double>& values,
             Bad bad,
             const std::string& expected) {
  if (values.size() != points.size()) {
    throw Failure(
        FailureCode::kData,
        fmt::format("{} has {} values for {} points", what, values.size(), points.size()));
  }
  const std::vector<std::size_t> found = Offenders(values, bad);
  if (found.empty()) return;
  throw Failure(FailureCode::kData,
                fmt::format("{} {}: {} of {} points are not: {}",
                            what,
                            expected,
                            found.size(),
                            points.size(),
                            Name(points, values, found)));
}

bool NotPositive(double v) {
  return !std::isfinite(v) || v <= 0;
}

void CheckObservable(const PointTable& points) {
  const std::string& name = points.observable;
  if (name == "E") {
    Require(
        points,
        "E",
        points.y,
        [](double v) { return NotPositive(v) || v > 1; },
        "must be an error as a fraction in (0, 1] (a percentage is mapped by E='err/100', an "
        "accuracy by E='1-acc'; leave points out with --where)");
  } else if (name == "drop") {
    Require(
        points,
        "drop",
        points.y,
        [](double v) { return !std::isfinite(v); },
        "must be a finite number");
  } else {
    Require(points,
            name,
            points.y,
            NotPositive,
            "must be a positive number (leave points out with --where)");
  }
}

}  // namespace

bool PointTable::Has(std::string_view variable) const {
  return std::find(variables.begin(), variables.end(), variable) != variables.end();
}

const std::vector<double>& PointTable::Column(std::string_view variable) const {
  const auto found = std::find(variables.begin(), variables.end(), variable);
  if (found == variables.end()) {
    throw Failure(
        FailureCode::kData,
        fmt::format(
            "the points have no variable {}; they have {}", variable, fmt::join(variables, ", ")));
  }
  return columns[static_cast<std::size_t>(found - variables.begin())];
}

std::string PointTable::Label(std::size_t i) const {
  return i < labels.size() ? labels[i] : fmt::format("point {}", i + 1);
}

PointTable PointTable::Subset(std::span<const std::size_t> indices) const {
  const auto pick = [&](const auto& from) {
    auto to = from;
    to.clear();
    if (from.empty()) return to;
    for (const std::size_t i : indices) to.push_back(from[i]);
    return to;
  };
  PointTable part{.variables = variables,
                  .columns = {},
                  .observable = observable,
                  .y = pick(y),
                  .weights = pick(weights),
                  .labels = pick(labels),
                  .clusters = pick(clusters),
                  .sample_sizes = pick(sample_sizes),
                  .covariates = {}};
  for (const auto& column : columns) part.columns.push_back(pick(column));
  for (const Covariate& covariate : covariates)
    part.covariates.push_back({covariate.name, pick(covariate.values)});
  return part;
}

void CheckPoints(const PointTable& points) {
  if (points.size() == 0) throw Failure(FailureCode::kData, "there are no points to fit");
  for (std::size_t v = 0; v < points.variables.size(); ++v) {
    Require(points,
            points.variables[v],
            points.columns[v],
            NotPositive,
            "must be a positive number (leave points out with --where)");
  }
  CheckObservable(points);
  if (points.weights.empty()) return;
  Require(
      points,
      "weight",
      points.weights,
      [](double v) { return !std::isfinite(v) || v < 0; },
      "must be zero or a positive number");
}

std::vector<std::string> DuplicateWarnings(const PointTable& points) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&](std::size_t a, std::size_t b) {
    for (const auto& column : points.columns) {
      if (column[a] != column[b]) return column[a] < column[b];
    }
    return points.y[a] < points.y[b];
  };
  std::stable_sort(order.begin(), order.end(), less);
  std::vector<std::string> pairs;
  for (std::size_t k = 1; k < order.size(); ++k) {
    if (less(order[k - 1], order[k])) continue;
    pairs.push_back(points.Label(order[k - 1]) + " = " + points.Label(order[k]));
  }
  if (pairs.empty()) return {};
  const std::size_t shown = std::min(pairs.size(), kNamedInMessages);
  return {fmt::format(
      "{} duplicate points (same variables, same observable; all count): {}{}",
      pairs.size(),
      fmt::join(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
      pairs.size() > shown ? ", …" : "")};
}

}  // namespace sweep
