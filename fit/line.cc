#include "fit/line.h"

#include <algorithm>
#include <cmath>

namespace sweep {

double Line::ErrorAt(double x) const {
  const double away = x - x_mean;
  return sigma * std::sqrt(1 / weight + away * away / x_square);
}

Line FitLine(std::span<const double> x,
             std::span<const double> y,
             std::span<const double> weights) {
  const auto w = [&](std::size_t i) { return weights.empty() ? 1.0 : weights[i]; };
  Line line;
  double y_mean = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    line.weight += w(i);
    line.x_mean += w(i) * x[i];
    y_mean += w(i) * y[i];
  }
  line.x_mean /= line.weight;
  y_mean /= line.weight;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    line.x_square += w(i) * (x[i] - line.x_mean) * (x[i] - line.x_mean);
    xy += w(i) * (x[i] - line.x_mean) * (y[i] - y_mean);
  }
  line.slope = xy / line.x_square;
  line.intercept = y_mean - line.slope * line.x_mean;
  line.degrees = std::max(0.0, static_cast<double>(x.size()) - 2);
  double square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double r = y[i] - line.At(x[i]);
    square += w(i) * r * r;
  }
  if (line.degrees > 0) line.sigma = std::sqrt(square / line.degrees);
  line.slope_error = line.sigma / std::sqrt(line.x_square);
  return line;
}

}  // namespace sweep
