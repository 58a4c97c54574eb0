#include "fit/compare.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/failure.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

// A fitted line ln y = intercept + slope ln C with its 2×2 covariance, read from a power fit's
// inner parameters.
struct Uncertain {
  double intercept;
  double slope;
  double var_intercept;
  double covariance;
  double var_slope;
  double degrees;

  [[nodiscard]] double VarianceAt(double x) const {
    return var_intercept + 2 * x * covariance + x * x * var_slope;
  }
};

Uncertain LineOf(const FitReport& fit) {
  const Linearisation& at = fit.linearisation;
  if (fit.law != "power") {
    throw Failure(FailureCode::kUsage,
                  fmt::format("exponents are compared between power laws, not {}", fit.law));
  }
  if (at.covariance.empty()) return {at.inner[0], at.inner[1], 0, 0, 0, 0};
  return {
      at.inner[0], at.inner[1], at.covariance[0], at.covariance[1], at.covariance[3], at.degrees};
}

// Welch–Satterthwaite degrees of freedom of a difference of two estimates.
double WelchDegrees(double variance1, double degrees1, double variance2, double degrees2) {
  const double sum = variance1 + variance2;
  return sum * sum / (variance1 * variance1 / degrees1 + variance2 * variance2 / degrees2);
}

// All x where the two lines differ by less than t standard errors (Fieller): ends of the stretch
// around the crossing. The stretch is bounded only when the slopes differ at that level.
void FillCrossing(const Uncertain& a, const Uncertain& b, double t, ExponentDifference& result) {
  const double slope = a.slope - b.slope;
  const double intercept = a.intercept - b.intercept;
  if (slope == 0) return;
  const double x = -intercept / slope;
  if (std::abs(x) > 700) return;
  result.crossing = std::exp(x);
  if (!result.testable) return;
  // (intercept + slope x)² = t² (v0 + 2 v1 x + v2 x²)
  const double v0 = a.var_intercept + b.var_intercept;
  const double v1 = a.covariance + b.covariance;
  const double v2 = a.var_slope + b.var_slope;
  const double square = slope * slope - t * t * v2;
  const double half = intercept * slope - t * t * v1;
  const double constant = intercept * intercept - t * t * v0;
  const double inside = half * half - square * constant;
  if (square <= 0 || inside < 0) return;
  const double low = (-half - std::sqrt(inside)) / square;
  const double high = (-half + std::sqrt(inside)) / square;
  if (low > -700) result.crossing_low = std::exp(low);
  if (high < 700) result.crossing_high = std::exp(high);
}

std::string Sentence(const ExponentDifference& d, double first, double second, double level) {
  const bool first_steeper = first < second;
  const std::string& steep = first_steeper ? d.first : d.second;
  std::string text = fmt::format("{} is steeper (alpha {:.4f} for {}, {:.4f} for {})",
                                 steep,
                                 first,
                                 d.first,
                                 second,
                                 d.second);
  if (!d.testable) return text + "; too few points to say whether the difference is real";
  if (d.p < 1 - level) return text + fmt::format(", and the data can tell (Welch p = {:.3f})", d.p);
  return text + fmt::format(", but the data cannot tell them apart (Welch p = {:.3f})", d.p);
}

}  // namespace

ExponentDifference CompareExponents(const CurveFit& first, const CurveFit& second) {
  const Uncertain a = LineOf(first.fit);
  const Uncertain b = LineOf(second.fit);
  ExponentDifference result;
  result.first = first.name;
  result.second = second.name;
  result.difference = a.slope - b.slope;
  result.standard_error = std::sqrt(a.var_slope + b.var_slope);
  result.testable = a.degrees > 0 && b.degrees > 0 && result.standard_error > 0;
  double t = 0;
  if (result.testable) {
    result.degrees = WelchDegrees(a.var_slope, a.degrees, b.var_slope, b.degrees);
    result.t = result.difference / result.standard_error;
    result.p = StudentTwoSided(result.t, result.degrees);
    t = StudentQuantile(0.5 * (1 + first.fit.level), result.degrees);
    result.low = result.difference - t * result.standard_error;
    result.high = result.difference + t * result.standard_error;
  }
  FillCrossing(a, b, t, result);
  result.sentence = Sentence(result, a.slope, b.slope, first.fit.level);
  return result;
}

double ProbabilityFirstBetter(const FitReport& first, const FitReport& second, double c) {
  const Uncertain a = LineOf(first);
  const Uncertain b = LineOf(second);
  const double x = std::log(c);
  const double gap = (b.intercept + b.slope * x) - (a.intercept + a.slope * x);
  const double variance_a = a.VarianceAt(x);
  const double variance_b = b.VarianceAt(x);
  if (!(variance_a + variance_b > 0)) return gap > 0 ? 1 : 0;
  const double degrees = WelchDegrees(variance_a, a.degrees, variance_b, b.degrees);
  return StudentCdf(gap / std::sqrt(variance_a + variance_b), degrees);
}

Json ToJson(const ExponentDifference& d) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  return {{"first", d.first},
          {"second", d.second},
          {"alpha_difference", d.difference},
          {"standard_error", d.testable ? Json(d.standard_error) : Json(nullptr)},
          {"low", d.testable ? Json(d.low) : Json(nullptr)},
          {"high", d.testable ? Json(d.high) : Json(nullptr)},
          {"welch_t", d.testable ? Json(d.t) : Json(nullptr)},
          {"welch_degrees", d.testable ? Json(d.degrees) : Json(nullptr)},
          {"p", d.testable ? Json(d.p) : Json(nullptr)},
          {"crossing", or_null(d.crossing)},
          {"crossing_low", or_null(d.crossing_low)},
          {"crossing_high", or_null(d.crossing_high)},
          {"sentence", d.sentence}};
}

}  // namespace sweep
