#include "fit/projection.h"

#include <algorithm>
#include <cmath>

#include "fit/nnls.h"

namespace sweep {
namespace {

constexpr double kTracePart = 1e-3;
constexpr double kTiny = 1e-300;

// What makes a column as large as the trace part of the target, on (geometric) average.
double Trace(const std::vector<double>& target, const std::vector<double>& column) {
  double sum = 0;
  for (std::size_t i = 0; i < target.size(); ++i) {
    sum += std::log(std::max(std::abs(target[i]), kTiny)) - std::log(std::max(column[i], kTiny));
  }
  return kTracePart * std::exp(sum / static_cast<double>(target.size()));
}

}  // namespace

std::vector<double> RelativeCoefficients(const std::vector<double>& target,
                                         const std::vector<double>& weights,
                                         const std::vector<std::vector<double>>& columns) {
  const std::size_t k = columns.size();
  const auto factor = [&](std::size_t i) {
    const double size = std::max(std::abs(target[i]), kTiny);
    return (weights.empty() ? 1 : weights[i]) / (size * size);
  };
  std::vector<double> gram(k * k);
  std::vector<double> right(k);
  for (std::size_t a = 0; a < k; ++a) {
    for (std::size_t i = 0; i < target.size(); ++i)
      right[a] += factor(i) * columns[a][i] * target[i];
    for (std::size_t b = 0; b < k; ++b) {
      for (std::size_t i = 0; i < target.size(); ++i) {
        gram[a * k + b] += factor(i) * columns[a][i] * columns[b][i];
      }
    }
  }
  std::vector<double> coefficients = NonNegativeLeastSquares(gram, right);
  for (std::size_t a = 0; a < k; ++a)
    coefficients[a] = std::max(coefficients[a], Trace(target, columns[a]));
  return coefficients;
}

std::vector<double> RelativeCoefficients(const PointTable& points,
                                         const std::vector<std::vector<double>>& columns) {
  return RelativeCoefficients(points.y, points.weights, columns);
}

}  // namespace sweep
