#include "fit/intervals.h"

#include <cmath>

#include "fit/statistics.h"

namespace sweep {

std::vector<Limits> StudentLimits(const Problem& problem, const Linearisation& at, double level) {
  std::vector<Limits> limits(problem.parameters());
  if (at.covariance.empty()) return limits;
  const double t = StudentQuantile(0.5 * (1 + level), at.degrees);
  for (std::size_t k = 0; k < limits.size(); ++k) {
    const double variance = at.covariance[k * limits.size() + k];
    if (problem.box.held[k] || !std::isfinite(at.inner[k]) || IsAtBound(problem.box, k, at.inner))
      continue;
    const double reach = t * std::sqrt(variance);
    limits[k].low = ToNatural(problem.law->parameters[k], at.inner[k] - reach);
    limits[k].high = ToNatural(problem.law->parameters[k], at.inner[k] + reach);
  }
  return limits;
}

}  // namespace sweep
