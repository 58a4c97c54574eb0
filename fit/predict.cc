#include "fit/predict.h"

#include <fmt/format.h>

#include <cmath>

#include "core/failure.h"
#include "fit/law.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

// Past this factor the law is trusted further than its points reach by a decade.
constexpr double kFar = 10;

// gradient' covariance gradient.
double Variance(const Linearisation& at, const std::vector<double>& gradient) {
  const std::size_t p = gradient.size();
  double sum = 0;
  for (std::size_t a = 0; a < p; ++a) {
    for (std::size_t b = 0; b < p; ++b) sum += gradient[a] * at.covariance[a * p + b] * gradient[b];
  }
  return std::max(sum, 0.0);
}

void FillBeyond(const FitReport& report, Prediction& prediction) {
  for (const auto& [name, range] : report.ranges) {
    const double value = prediction.at.at(name);
    const double factor = std::max({value / range.high, range.low / value, 1.0});
    prediction.beyond.push_back({name, factor});
    if (factor <= 1) continue;
    prediction.warning += fmt::format("{}{} is {:.3g} times {} the fitted points",
                                      prediction.warning.empty() ? "" : "; ",
                                      name,
                                      factor,
                                      value > range.high ? "beyond" : "below");
    if (factor > kFar)
      prediction.warning += " (the interval assumes that the law still holds there)";
  }
}

// The method's own limits where the fit was asked for this target, else those of the linearisation.
void FillLawLimits(const FitReport& report,
                   double centre,
                   const std::vector<double>& gradient,
                   Prediction& prediction) {
  for (const TargetLimits& limits : report.targets) {
    if (limits.at != prediction.at) continue;
    prediction.mean_low = limits.low;
    prediction.mean_high = limits.high;
    prediction.method = ToString(report.intervals);
    return;
  }
  const Linearisation& geometry = report.linearisation;
  if (geometry.covariance.empty() || report.intervals.kind == IntervalKind::kNone) return;
  const double reach = StudentQuantile(0.5 * (1 + report.level), geometry.degrees) *
                       std::sqrt(Variance(geometry, gradient));
  prediction.mean_low = FromSpace(centre - reach, report.residual);
  prediction.mean_high = FromSpace(centre + reach, report.residual);
  prediction.method = "t";
}

// A new point scatters about the law: its reach and the law's add in squares, on each side, as they
// do exactly for the line.
void FillNewPointLimits(const FitReport& report, double centre, Prediction& prediction) {
  const Linearisation& geometry = report.linearisation;
  if (!(geometry.degrees > 0)) return;
  const double scatter =
      StudentQuantile(0.5 * (1 + report.level), geometry.degrees) * geometry.sigma;
  const auto beyond = [&](const std::optional<double>& limit, double side) {
    if (!limit) return limit;
    const double reach = std::hypot(InSpace(*limit, report.residual) - centre, scatter);
    return std::optional<double>(FromSpace(centre + side * reach, report.residual));
  };
  prediction.low = beyond(prediction.mean_low, -1);
  prediction.high = beyond(prediction.mean_high, +1);
}

}  // namespace

Prediction PredictLaw(const Law& law, const FitReport& report, const Target& at) {
  ValueAtTarget law_value(law, report.constants, report.residual, at);
  const double centre = law_value(report.linearisation.inner);
  Prediction prediction;
  prediction.value = FromSpace(centre, report.residual);
  prediction.at = TargetOfLaw(law, at);
  FillBeyond(report, prediction);
  FillLawLimits(report, centre, law_value.Gradient(report.linearisation.inner), prediction);
  FillNewPointLimits(report, centre, prediction);
  return prediction;
}

Prediction Predict(const FitReport& report, const Target& at) {
  return PredictLaw(FindLaw(report.law), report, at);
}

Json ToJson(const Prediction& prediction) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  Json beyond = Json::object();
  for (const Beyond& b : prediction.beyond) beyond[b.variable] = b.factor;
  return {{"at", prediction.at},
          {"value", prediction.value},
          {"mean_low", or_null(prediction.mean_low)},
          {"mean_high", or_null(prediction.mean_high)},
          {"interval_method", prediction.method},
          {"low", or_null(prediction.low)},
          {"high", or_null(prediction.high)},
          {"beyond", beyond},
          {"warning", prediction.warning}};
}

}  // namespace sweep
