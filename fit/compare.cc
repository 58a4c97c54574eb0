#include "fit/compare.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>

#include "core/failure.h"
#include "fit/adjust.h"
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
  if (d.p < 1 - level)
    return text + fmt::format(", and the data can tell (Welch {})", PValueText(d.p));
  return text + fmt::format(", but the data cannot tell them apart (Welch {})", PValueText(d.p));
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

CommonSlope TestCommonSlope(const std::vector<CurveFit>& curves) {
  CommonSlope common;
  std::vector<Uncertain> lines;
  double weight = 0;
  for (const CurveFit& curve : curves) {
    lines.push_back(LineOf(curve.fit));
    if (!(lines.back().degrees > 0) || !(lines.back().var_slope > 0)) return common;
    weight += 1 / lines.back().var_slope;
  }
  for (const Uncertain& line : lines) common.slope += line.slope / line.var_slope / weight;
  const auto k = static_cast<double>(lines.size());
  double square = 0;
  double imbalance = 0;
  double spread = 0;
  for (const Uncertain& line : lines) {
    const double share = 1 / line.var_slope / weight;
    const double away = line.slope - common.slope;
    square += away * away / line.var_slope;
    imbalance += (1 - share) * (1 - share) / line.degrees;
    spread += share * share / line.degrees;
  }
  common.degrees1 = k - 1;
  common.degrees2 = (k * k - 1) / (3 * imbalance);
  common.f = square / (k - 1) / (1 + 2 * (k - 2) / (k * k - 1) * imbalance);
  common.p = 1 - FisherCdf(common.f, common.degrees1, common.degrees2);
  const double reach =
      StudentQuantile(0.5 * (1 + curves.front().fit.level), 1 / spread) / std::sqrt(weight);
  common.low = common.slope - reach;
  common.high = common.slope + reach;
  common.testable = true;
  return common;
}

std::vector<double> ProbabilitiesOfBest(const std::vector<CurveFit>& curves, double c) {
  const double x = std::log(c);
  std::vector<Uncertain> lines;
  std::vector<double> middle, error;
  for (const CurveFit& curve : curves) {
    lines.push_back(LineOf(curve.fit));
    middle.push_back(lines.back().intercept + lines.back().slope * x);
    error.push_back(std::sqrt(std::max(lines.back().VarianceAt(x), 0.0)));
  }
  const auto below = [&](std::size_t i, double y) {
    if (!(error[i] > 0)) return y >= middle[i] ? 1.0 : 0.0;
    return StudentCdf((y - middle[i]) / error[i], std::max(lines[i].degrees, 1.0));
  };
  // Equal shares of each curve's own distribution, by their midpoints.
  constexpr int kShares = 200;
  std::vector<double> best(curves.size(), 0);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    for (int s = 0; s < kShares; ++s) {
      const double quantile = StudentQuantile((s + 0.5) / kShares, std::max(lines[i].degrees, 1.0));
      double lowest = 1;
      for (std::size_t j = 0; j < curves.size(); ++j)
        lowest *= j == i ? 1 : 1 - below(j, middle[i] + quantile * error[i]);
      best[i] += lowest / kShares;
    }
  }
  const double sum = std::accumulate(best.begin(), best.end(), 0.0);
  for (double& probability : best) probability /= sum;
  return best;
}

CommonLaw TestCommonLaw(const FitReport& pooled, const std::vector<CurveFit>& groups) {
  CommonLaw common;
  const auto parameters = [](const FitReport& fit) {
    return static_cast<double>(fit.n) - fit.linearisation.degrees;
  };
  double apart = 0;
  double degrees = 0;
  double free = 0;
  for (const CurveFit& group : groups) {
    if (group.fit.loss.kind != LossKind::kSquared) return common;
    apart += 2 * group.fit.objective;
    degrees += group.fit.linearisation.degrees;
    free += parameters(group.fit);
  }
  common.degrees1 = free - parameters(pooled);
  common.degrees2 = degrees;
  if (!(common.degrees1 > 0) || !(degrees > 0) || !(apart > 0)) return common;
  common.f = std::max(2 * pooled.objective - apart, 0.0) / common.degrees1 / (apart / degrees);
  common.p = 1 - FisherCdf(common.f, common.degrees1, common.degrees2);
  common.testable = true;
  return common;
}

std::vector<ParameterDifference> CompareParameters(const FitReport& first,
                                                   const FitReport& second) {
  std::vector<ParameterDifference> differences;
  const Linearisation& a = first.linearisation;
  const Linearisation& b = second.linearisation;
  const std::size_t p = first.estimates.size();
  if (a.covariance.empty() || b.covariance.empty() || second.estimates.size() != p) return {};
  for (std::size_t k = 0; k < p; ++k) {
    const double va = a.covariance[k * p + k];
    const double vb = b.covariance[k * p + k];
    if (!(va > 0) || !(vb > 0)) continue;
    ParameterDifference d{.parameter = first.estimates[k].name,
                          .first = first.estimates[k].value,
                          .second = second.estimates[k].value};
    d.degrees = WelchDegrees(va, a.degrees, vb, b.degrees);
    d.t = (a.inner[k] - b.inner[k]) / std::sqrt(va + vb);
    d.p = StudentTwoSided(d.t, d.degrees);
    differences.push_back(std::move(d));
  }
  return differences;
}

double ProbabilityFirstBetter(const FitReport& first, const FitReport& second, double c) {
  return ProbabilitiesOfBest({{"", first}, {"", second}}, c).front();
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

Json ToJson(const CommonSlope& common) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  if (!common.testable) return {{"testable", false}, {"p", nullptr}};
  return {{"testable", true},
          {"alpha", common.slope},
          {"low", or_null(common.low)},
          {"high", or_null(common.high)},
          {"f", common.f},
          {"degrees", {common.degrees1, common.degrees2}},
          {"p", common.p}};
}

Json ToJson(const CommonLaw& common) {
  if (!common.testable) return {{"testable", false}, {"p", nullptr}};
  return {{"testable", true},
          {"f", common.f},
          {"degrees", {common.degrees1, common.degrees2}},
          {"p", common.p}};
}

Json ToJson(const ParameterDifference& d) {
  return {{"parameter", d.parameter},
          {"first", d.first},
          {"second", d.second},
          {"welch_t", d.t},
          {"welch_degrees", d.degrees},
          {"p", d.p}};
}

}  // namespace sweep
