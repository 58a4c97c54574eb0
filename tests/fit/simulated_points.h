#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "fit/points.h"
#include "fit/sequences.h"

namespace sweep {

/// How many experiments a simulation makes, and how far its share may be off: under sanitizers,
/// which look for other mistakes, a twentieth of them.
#ifdef SWEEP_SHORT_SIMULATIONS
inline constexpr bool kShortSimulations = true;
#else
inline constexpr bool kShortSimulations = false;
#endif
inline constexpr int Experiments(int full) {
  return kShortSimulations ? (full + 19) / 20 : full;
}
inline constexpr double Margin(double full) {
  return kShortSimulations ? 0.4 : full;
}

/// n values spaced evenly in the logarithm from low to high.
inline std::vector<double> LogSpaced(double low, double high, std::size_t n) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) {
    const double part = n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
    values.push_back(low * std::pow(high / low, part));
  }
  return values;
}

/// Points of one variable: y[i] = law(x[i]) · exp(noise · standard normal).
template <class F>
PointTable Simulate(const std::string& variable,
                    std::vector<double> x,
                    F law,
                    double noise = 0,
                    std::uint64_t seed = 1) {
  Random random(seed);
  PointTable points{.variables = {variable},
                    .columns = {},
                    .observable = "L",
                    .y = {},
                    .weights = {},
                    .labels = {},
                    .clusters = {}};
  for (const double value : x) {
    points.y.push_back(law(value) * (noise > 0 ? std::exp(noise * random.Normal()) : 1));
  }
  points.columns.push_back(std::move(x));
  return points;
}

}  // namespace sweep
