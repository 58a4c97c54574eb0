#include "fit/select.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/failure.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;

Selected Keep(const PointTable& points, const std::vector<std::string>& reasons) {
  Indices kept;
  Selected selected;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (reasons[i].empty()) {
      kept.push_back(i);
    } else {
      selected.excluded.push_back({points.Label(i), reasons[i]});
    }
  }
  selected.points = points.Subset(kept);
  return selected;
}

// A point stays when its observable is below that of every point with less (or as much) `along`; of
// exact ties the first stays.
Selected Pareto(const PointTable& points, const std::vector<double>& x) {
  Indices order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return x[a] != x[b] ? x[a] < x[b] : points.y[a] < points.y[b];
  });
  std::vector<std::string> reasons(points.size());
  std::size_t best = order.front();
  for (std::size_t k = 1; k < order.size(); ++k) {
    const std::size_t i = order[k];
    if (points.y[i] < points.y[best]) {
      best = i;
    } else {
      reasons[i] = fmt::format("not on the frontier: {} does as well or better at no more compute",
                               points.Label(best));
    }
  }
  return Keep(points, reasons);
}

struct Bins {
  std::vector<double> edges;     // of log10 x, one more than bins
  std::vector<Indices> members;  // point indices
  [[nodiscard]] double Centre(std::size_t b) const { return 0.5 * (edges[b] + edges[b + 1]); }
};

// numpy's histogram(range=(low, high)) edges: low + width*b; digitize's left-closed bins.
Bins MakeBins(const std::vector<double>& x, int count) {
  std::vector<double> logs;
  for (const double value : x) logs.push_back(std::log10(value));
  const auto [low, high] = std::minmax_element(logs.begin(), logs.end());
  const auto bins = static_cast<std::size_t>(count);
  const double top = *high + 0.1;
  Bins result{.edges = {}, .members = std::vector<Indices>(bins)};
  for (std::size_t b = 0; b <= bins; ++b) {
    result.edges.push_back(*low +
                           static_cast<double>(b) * ((top - *low) / static_cast<double>(bins)));
  }
  result.edges.back() = top;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    const auto above = std::upper_bound(result.edges.begin() + 1, result.edges.end() - 1, logs[i]);
    result.members[static_cast<std::size_t>(above - result.edges.begin() - 1)].push_back(i);
  }
  return result;
}

std::size_t Smallest(const PointTable& points, const Indices& members) {
  return *std::min_element(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
    return points.y[a] < points.y[b];
  });
}

Selected Binned(const PointTable& points, const std::string& along, int count) {
  if (points.variables.size() != 1) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--select binned:{} puts points at bin centres of {}, which have no "
                              "value for the other "
                              "variables ({}): use pareto or all",
                              count,
                              along,
                              fmt::join(points.variables, ", ")));
  }
  const Bins bins = MakeBins(points.Column(along), count);
  std::vector<std::string> reasons(points.size());
  Indices kept;
  std::vector<double> centres;
  for (std::size_t b = 0; b < bins.members.size(); ++b) {
    if (bins.members[b].empty()) continue;
    kept.push_back(Smallest(points, bins.members[b]));
    centres.push_back(std::pow(10, bins.Centre(b)));
    for (const std::size_t i : bins.members[b]) {
      if (i == kept.back()) continue;
      reasons[i] = fmt::format("not the smallest of its bin: {} is", points.Label(kept.back()));
    }
  }
  Selected selected = Keep(points, reasons);
  selected.points = points.Subset(kept);
  selected.points.columns[0] = centres;
  return selected;
}

Selected Quantile(const PointTable& points,
                  const std::vector<double>& x,
                  const Selection& selection) {
  const Bins bins = MakeBins(x, selection.bins);
  std::vector<std::string> reasons(points.size());
  for (const Indices& members : bins.members) {
    if (members.empty()) continue;
    std::vector<double> sorted;
    for (const std::size_t i : members) sorted.push_back(points.y[i]);
    std::sort(sorted.begin(), sorted.end());
    const auto rank = static_cast<std::size_t>(
        std::max(1.0, std::floor(selection.quantile * static_cast<double>(sorted.size()) + 1e-9)));
    for (const std::size_t i : members) {
      if (points.y[i] > sorted[rank - 1]) {
        reasons[i] = fmt::format("above the {} quantile of its bin", selection.quantile);
      }
    }
  }
  return Keep(points, reasons);
}

}  // namespace

Selected Select(const PointTable& points, const Selection& selection, const std::string& along) {
  if (selection.kind == SelectKind::kAll || points.size() == 0)
    return {.points = points, .excluded = {}};
  const std::vector<double>& x = points.Column(along);
  if (selection.kind == SelectKind::kPareto) return Pareto(points, x);
  if (selection.kind == SelectKind::kBinned) return Binned(points, along, selection.bins);
  return Quantile(points, x, selection);
}

}  // namespace sweep
