#include "fit/adjust.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace sweep {
namespace {

std::vector<std::size_t> Ascending(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  return order;
}

}  // namespace

std::string PValueText(double p) {
  return p < 0.001 ? "p < 0.001" : fmt::format("p = {:.3f}", p);
}

std::vector<double> HolmAdjusted(const std::vector<double>& p) {
  const std::vector<std::size_t> order = Ascending(p);
  std::vector<double> adjusted(p.size());
  double so_far = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    so_far = std::max(so_far, std::min(1.0, static_cast<double>(p.size() - k) * p[order[k]]));
    adjusted[order[k]] = so_far;
  }
  return adjusted;
}

std::vector<double> BenjaminiHochbergAdjusted(const std::vector<double>& p) {
  const std::vector<std::size_t> order = Ascending(p);
  std::vector<double> adjusted(p.size());
  double so_far = 1;
  for (std::size_t k = order.size(); k-- > 0;) {
    so_far =
        std::min(so_far, static_cast<double>(p.size()) / static_cast<double>(k + 1) * p[order[k]]);
    adjusted[order[k]] = so_far;
  }
  return adjusted;
}

}  // namespace sweep
