#include <algorithm>
#include <cmath>
#include <numeric>

#include "fit/monomials.h"
#include "fit/nnls.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

// A coefficient that least squares sets to zero starts as this part of the observable instead: from
// zero itself there is no way back.
constexpr double kTracePart = 1e-3;

// The terms at given exponents, each divided by its mean logarithm so that columns are near one,
// over the observable.
struct Basis {
  std::vector<std::vector<double>> columns;  // exp(exponent*(slope - mean slope)) / y
  std::vector<double> shift;  // exponent * mean slope, to be taken from ln coefficient
};

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Basis MakeBasis(const PointTable& points,
                const std::vector<Monomial>& terms,
                const std::vector<double>& exponents) {
  Basis basis;
  std::size_t next = 0;
  for (const Monomial& term : terms) {
    const double exponent = term.exponent == Monomial::kNone ? 0 : exponents[next++];
    const double mean = term.slope.empty() ? 0 : Mean(term.slope);
    std::vector<double> column(points.size());
    for (std::size_t i = 0; i < column.size(); ++i) {
      const double away = term.slope.empty() ? 0 : term.slope[i] - mean;
      column[i] = std::exp(std::clamp(exponent * away, -300.0, 300.0)) /
                  std::max(std::abs(points.y[i]), 1e-300);
    }
    basis.columns.push_back(std::move(column));
    basis.shift.push_back(exponent * mean);
  }
  return basis;
}

// Non-negative coefficients that make the sum of columns closest to one, the observable over
// itself.
std::vector<double> Coefficients(const PointTable& points, const Basis& basis) {
  const std::size_t k = basis.columns.size();
  std::vector<double> gram(k * k);
  std::vector<double> right(k);
  for (std::size_t a = 0; a < k; ++a) {
    for (std::size_t i = 0; i < points.size(); ++i)
      right[a] += points.Weight(i) * basis.columns[a][i];
    for (std::size_t b = 0; b < k; ++b) {
      double sum = 0;
      for (std::size_t i = 0; i < points.size(); ++i) {
        sum += points.Weight(i) * basis.columns[a][i] * basis.columns[b][i];
      }
      gram[a * k + b] = sum;
    }
  }
  return NonNegativeLeastSquares(gram, right);
}

}  // namespace

Starts MonomialStarts(const PointTable& points,
                      std::size_t parameters,
                      const std::vector<Monomial>& terms,
                      const std::vector<ExponentRange>& ranges,
                      std::size_t count,
                      std::uint64_t seed) {
  double typical = 0;
  for (const double y : points.y) typical += std::log(std::max(std::abs(y), 1e-300));
  typical /= static_cast<double>(points.size());
  Starts starts;
  for (std::size_t s = 0; s < count; ++s) {
    std::vector<double> exponents = LowDiscrepancyPoint(s, ranges.size(), seed);
    for (std::size_t e = 0; e < ranges.size(); ++e) {
      exponents[e] = ranges[e].lower + exponents[e] * (ranges[e].upper - ranges[e].lower);
    }
    const Basis basis = MakeBasis(points, terms, exponents);
    const std::vector<double> coefficients = Coefficients(points, basis);
    std::vector<double> start(parameters);
    std::size_t next = 0;
    for (std::size_t t = 0; t < terms.size(); ++t) {
      const double trace = kTracePart * std::exp(typical);
      start[static_cast<std::size_t>(terms[t].coefficient)] =
          std::log(std::max(coefficients[t], trace)) - basis.shift[t];
      if (terms[t].exponent != Monomial::kNone) {
        start[static_cast<std::size_t>(terms[t].exponent)] = exponents[next++];
      }
    }
    starts.push_back(std::move(start));
  }
  return starts;
}

}  // namespace sweep
