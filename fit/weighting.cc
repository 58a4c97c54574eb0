#include "fit/weighting.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "core/failure.h"
#include "fit/problem.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;

// Cells of points that agree in every variable, in order of first appearance.
std::vector<Indices> Cells(const PointTable& points) {
  std::map<std::vector<double>, std::size_t> index;
  std::vector<Indices> cells;
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::vector<double> key;
    key.reserve(points.columns.size());
    for (const auto& column : points.columns) key.push_back(column[i]);
    const auto [found, added] = index.try_emplace(std::move(key), cells.size());
    if (added) cells.emplace_back();
    cells[found->second].push_back(i);
  }
  return cells;
}

struct CellStatistics {
  double mean = 0;
  double squares = 0;  // about the mean
};

CellStatistics StatisticsOf(const PointTable& points, const Indices& cell, Residual space) {
  CellStatistics s;
  for (const std::size_t i : cell)
    s.mean += InSpace(points.y[i], space) / static_cast<double>(cell.size());
  for (const std::size_t i : cell) {
    const double away = InSpace(points.y[i], space) - s.mean;
    s.squares += away * away;
  }
  return s;
}

std::vector<double> SampleVariances(const PointTable& points, Residual space) {
  if (points.sample_sizes.size() != points.size()) {
    throw Failure(FailureCode::kData,
                  "--weights binomial needs a column sample_size: how many examples each error "
                  "was measured on");
  }
  if (points.observable != "E") {
    throw Failure(FailureCode::kData,
                  fmt::format("--weights binomial is for errors (E), not for {}: a proportion's "
                              "variance follows from its sample size, a loss's does not",
                              points.observable));
  }
  std::vector<double> variances;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double n = points.sample_sizes[i];
    if (!(n > 0) || !std::isfinite(n)) {
      throw Failure(
          FailureCode::kData,
          fmt::format("{}: sample_size is {}, expected a positive count", points.Label(i), n));
    }
    const double e = (n * points.y[i] + 0.5) / (n + 1);
    variances.push_back(e * (1 - e) / n / (space == Residual::kLog ? e * e : 1));
  }
  return variances;
}

std::vector<double> SeedVariances(const PointTable& points, Residual space) {
  constexpr double kPriorDegrees = 4;
  const std::vector<Indices> cells = Cells(points);
  double squares = 0;
  double degrees = 0;
  for (const Indices& cell : cells) {
    squares += StatisticsOf(points, cell, space).squares;
    degrees += static_cast<double>(cell.size() - 1);
  }
  if (!(degrees > 0) || !(squares > 0)) {
    throw Failure(FailureCode::kData,
                  "--weights seed_variance needs points that agree in every variable and differ in "
                  "the observable: there is no second seed");
  }
  const double pooled = squares / degrees;
  std::vector<double> variances(points.size());
  for (const Indices& cell : cells) {
    const double own = StatisticsOf(points, cell, space).squares;
    const double variance =
        (kPriorDegrees * pooled + own) / (kPriorDegrees + static_cast<double>(cell.size() - 1));
    for (const std::size_t i : cell) variances[i] = variance;
  }
  return variances;
}

}  // namespace

Seeds ParseSeeds(std::string_view text) {
  if (text == "pooled") return Seeds::kPooled;
  if (text == "random") return Seeds::kRandom;
  throw Failure(FailureCode::kUsage, fmt::format("--seeds '{}': expected pooled or random", text));
}

std::optional<Weighting> FindWeighting(std::string_view text) {
  for (const Weighting weighting : {Weighting::kBinomial, Weighting::kSeedVariance}) {
    if (text == ToString(weighting)) return weighting;
  }
  return std::nullopt;
}

std::string_view ToString(Seeds seeds) {
  return seeds == Seeds::kPooled ? "pooled" : "random";
}

std::string_view ToString(Weighting weighting) {
  switch (weighting) {
    case Weighting::kGiven:
      return "given";
    case Weighting::kBinomial:
      return "binomial";
    case Weighting::kSeedVariance:
      return "seed_variance";
  }
  return "?";
}

PointTable WithWeights(PointTable points, Weighting weighting, Residual space) {
  if (weighting == Weighting::kGiven) return points;
  (void)Targets(points, space);
  const std::vector<double> variances = weighting == Weighting::kBinomial
                                            ? SampleVariances(points, space)
                                            : SeedVariances(points, space);
  double sum = 0;
  for (const double variance : variances) sum += 1 / variance;
  points.weights.clear();
  for (const double variance : variances)
    points.weights.push_back(static_cast<double>(variances.size()) / variance / sum);
  return points;
}

SeedCells AverageSeeds(const PointTable& points, Residual space) {
  (void)Targets(points, space);
  SeedCells result;
  Indices firsts;
  std::vector<double> means;
  double squares = 0;
  for (const Indices& cell : Cells(points)) {
    const CellStatistics s = StatisticsOf(points, cell, space);
    firsts.push_back(cell.front());
    means.push_back(space == Residual::kLog ? std::exp(s.mean) : s.mean);
    result.runs.push_back(static_cast<double>(cell.size()));
    squares += s.squares;
    result.seed_degrees += static_cast<double>(cell.size() - 1);
  }
  result.means = points.Subset(firsts);
  result.means.y = std::move(means);
  result.means.weights.clear();
  if (result.seed_degrees > 0) result.seed_variance = squares / result.seed_degrees;
  return result;
}

}  // namespace sweep
