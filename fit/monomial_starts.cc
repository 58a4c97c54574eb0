#include <algorithm>
#include <cmath>
#include <numeric>

#include "fit/monomials.h"
#include "fit/projection.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

// The terms at given exponents, each divided by its value at the mean logarithm so that columns are
// near one.
struct Basis {
  std::vector<std::vector<double>> columns;
  std::vector<double> shift;  // what to take from ln coefficient for that division
};

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Basis MakeBasis(std::size_t n,
                const std::vector<Monomial>& terms,
                const std::vector<double>& exponents) {
  Basis basis;
  std::size_t next = 0;
  for (const Monomial& term : terms) {
    const double exponent = term.exponent == Monomial::kNone ? 0 : exponents[next++];
    const double mean = term.slope.empty() ? 0 : Mean(term.slope);
    std::vector<double> column(n, 1);
    for (std::size_t i = 0; i < term.slope.size(); ++i) {
      column[i] = std::exp(std::clamp(exponent * (term.slope[i] - mean), -300.0, 300.0));
    }
    basis.columns.push_back(std::move(column));
    basis.shift.push_back(exponent * mean);
  }
  return basis;
}

}  // namespace

Starts MonomialStarts(const PointTable& points,
                      std::size_t parameters,
                      const std::vector<Monomial>& terms,
                      const std::vector<ExponentRange>& ranges,
                      std::size_t count,
                      std::uint64_t seed) {
  Starts starts;
  for (std::size_t s = 0; s < count; ++s) {
    std::vector<double> exponents = LowDiscrepancyPoint(s, ranges.size(), seed);
    for (std::size_t e = 0; e < ranges.size(); ++e) {
      exponents[e] = ranges[e].lower + exponents[e] * (ranges[e].upper - ranges[e].lower);
    }
    const Basis basis = MakeBasis(points.size(), terms, exponents);
    const std::vector<double> coefficients = RelativeCoefficients(points, basis.columns);
    std::vector<double> start(parameters);
    std::size_t next = 0;
    for (std::size_t t = 0; t < terms.size(); ++t) {
      start[static_cast<std::size_t>(terms[t].coefficient)] =
          std::log(coefficients[t]) - basis.shift[t];
      if (terms[t].exponent == Monomial::kNone) continue;
      start[static_cast<std::size_t>(terms[t].exponent)] = exponents[next++];
    }
    starts.push_back(std::move(start));
  }
  return starts;
}

}  // namespace sweep
