#include "fit/select.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/failure.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;
using Reasons = std::vector<std::string>;  // one a point; empty for those that stay

Frontier Keep(const std::vector<bool>& stays, const std::vector<double>& x) {
  Frontier frontier;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!stays[i]) continue;
    frontier.kept.push_back(i);
    frontier.along.push_back(x[i]);
  }
  return frontier;
}

// A point stays when its observable is below that of every point with less (or as much) along the
// axis; of exact ties the first stays.
Frontier Pareto(const PointTable& points, const std::vector<double>& x, Reasons* reasons) {
  Indices order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return x[a] != x[b] ? x[a] < x[b] : points.y[a] < points.y[b];
  });
  std::vector<bool> stays(points.size(), true);
  std::size_t best = order.front();
  for (std::size_t k = 1; k < order.size(); ++k) {
    const std::size_t i = order[k];
    if (points.y[i] < points.y[best]) {
      best = i;
      continue;
    }
    stays[i] = false;
    if (reasons) {
      (*reasons)[i] = fmt::format(
          "not on the frontier: {} does as well or better at no more compute", points.Label(best));
    }
  }
  return Keep(stays, x);
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

Frontier Binned(const PointTable& points,
                const std::vector<double>& x,
                int count,
                Reasons* reasons) {
  const Bins bins = MakeBins(x, count);
  Frontier frontier;
  for (std::size_t b = 0; b < bins.members.size(); ++b) {
    const Indices& members = bins.members[b];
    if (members.empty()) continue;
    const std::size_t smallest =
        *std::min_element(members.begin(), members.end(), [&](std::size_t a, std::size_t c) {
          return points.y[a] < points.y[c];
        });
    frontier.kept.push_back(smallest);
    frontier.along.push_back(std::pow(10, bins.Centre(b)));
    for (const std::size_t i : members) {
      if (!reasons || i == smallest) continue;
      (*reasons)[i] = fmt::format("not the smallest of its bin: {} is", points.Label(smallest));
    }
  }
  return frontier;
}

Frontier Quantile(const PointTable& points,
                  const std::vector<double>& x,
                  const Selection& selection,
                  Reasons* reasons) {
  const Bins bins = MakeBins(x, selection.bins);
  std::vector<bool> stays(points.size(), true);
  for (const Indices& members : bins.members) {
    if (members.empty()) continue;
    std::vector<double> sorted;
    for (const std::size_t i : members) sorted.push_back(points.y[i]);
    std::sort(sorted.begin(), sorted.end());
    const auto rank = static_cast<std::size_t>(
        std::max(1.0, std::floor(selection.quantile * static_cast<double>(sorted.size()) + 1e-9)));
    for (const std::size_t i : members) {
      if (points.y[i] <= sorted[rank - 1]) continue;
      stays[i] = false;
      if (reasons)
        (*reasons)[i] = fmt::format("above the {} quantile of its bin", selection.quantile);
    }
  }
  return Keep(stays, x);
}

void RefuseSecondVariable(const PointTable& points,
                          const Selection& selection,
                          const std::string& along) {
  if (points.variables.size() == 1) return;
  throw Failure(
      FailureCode::kUsage,
      fmt::format("--select {} puts points at bin centres of {}, which have no value for the other "
                  "variables ({}): use pareto or all",
                  ToString(selection),
                  along,
                  fmt::join(points.variables, ", ")));
}

Frontier Find(const PointTable& points,
              const Selection& selection,
              const std::string& along,
              Reasons* reasons) {
  const std::vector<double>& x = points.Column(along);
  switch (selection.kind) {
    case SelectKind::kPareto:
      return Pareto(points, x, reasons);
    case SelectKind::kBinned:
      RefuseSecondVariable(points, selection, along);
      return Binned(points, x, selection.bins, reasons);
    case SelectKind::kQuantile:
      return Quantile(points, x, selection, reasons);
    case SelectKind::kAll:
      break;
  }
  Frontier everything{.kept = Indices(points.size()), .along = x};
  std::iota(everything.kept.begin(), everything.kept.end(), 0);
  return everything;
}

}  // namespace

Frontier FindFrontier(const PointTable& points,
                      const Selection& selection,
                      const std::string& along) {
  return Find(points, selection, along, nullptr);
}

Selected Select(const PointTable& points, const Selection& selection, const std::string& along) {
  if (selection.kind == SelectKind::kAll || points.size() == 0)
    return {.points = points, .excluded = {}};
  Reasons reasons(points.size());
  const Frontier frontier = Find(points, selection, along, &reasons);
  Selected selected{.points = points.Subset(frontier.kept), .excluded = {}};
  if (selection.kind == SelectKind::kBinned) selected.points.columns[0] = frontier.along;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!reasons[i].empty()) selected.excluded.push_back({points.Label(i), reasons[i]});
  }
  return selected;
}

}  // namespace sweep
