#include "fit/statistics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// std::lgamma writes a global (signgam); this one may be called from several threads.
double LogGamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

// The continued fraction of I_x(a, b), convergent quickly where x < (a + 1) / (a + b + 2).
double BetaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double h = d;
  for (int m = 1; m < 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    h *= d * c;
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  return h;
}

// Where the increasing function `cdf` reaches p: bisection on a bracket that is doubled until it
// holds the answer.
double Invert(const std::function<double(double)>& cdf, double p, double low, double high) {
  while (cdf(high) < p && high < 1e300) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-16 * std::abs(high); ++i) {
    const double middle = 0.5 * (low + high);
    (cdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace

double IncompleteBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(a, b, x) / a;
  return 1 - front * BetaFraction(b, a, 1 - x) / b;
}

double NormalCdf(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

double NormalQuantile(double p) {
  if (p <= 0) return -kInfinity;
  if (p >= 1) return kInfinity;
  if (p > 0.5) return -NormalQuantile(1 - p);
  return -Invert([](double z) { return -0.5 * std::erfc(z / std::numbers::sqrt2); }, -p, 0, 8);
}

double StudentTwoSided(double t, double degrees) {
  if (std::isnan(t)) return t;
  return IncompleteBeta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

double StudentCdf(double t, double degrees) {
  const double tail = 0.5 * StudentTwoSided(t, degrees);
  return t < 0 ? tail : 1 - tail;
}

double StudentQuantile(double p, double degrees) {
  if (p <= 0) return -kInfinity;
  if (p >= 1) return kInfinity;
  if (p < 0.5) return -StudentQuantile(1 - p, degrees);
  // The tail keeps its digits where the distribution function is close to one.
  const auto minus_tail = [&](double t) { return -0.5 * StudentTwoSided(t, degrees); };
  return Invert(minus_tail, p - 1, 0, 2);
}

double FisherCdf(double f, double degrees1, double degrees2) {
  if (f <= 0) return 0;
  return IncompleteBeta(degrees1 / 2, degrees2 / 2, degrees1 * f / (degrees1 * f + degrees2));
}

double SampleQuantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double FisherQuantile(double p, double degrees1, double degrees2) {
  if (p <= 0) return 0;
  if (p >= 1) return kInfinity;
  return Invert([&](double f) { return FisherCdf(f, degrees1, degrees2); }, p, 0, 2);
}

}  // namespace sweep
