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

PointTable OnePoint(const Law& law, const std::map<std::string, double>& at) {
  PointTable point{.variables = law.variables,
                   .columns = {},
                   .observable = "L",
                   .y = {1},
                   .weights = {},
                   .labels = {},
                   .clusters = {}};
  for (const std::string& name : law.variables) {
    auto found = at.find(name);
    if (found == at.end() && name == "x") found = at.find("C");
    if (found == at.end() && name == "C") found = at.find("x");
    if (found == at.end() || !(found->second > 0) || !std::isfinite(found->second)) {
      throw Failure(
          FailureCode::kUsage,
          fmt::format("law {} is predicted at positive values of {}; {} is missing or not positive",
                      law.name,
                      fmt::join(law.variables, ", "),
                      name));
    }
    point.columns.push_back({found->second});
  }
  return point;
}

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

}  // namespace

Prediction PredictLaw(const Law& law,
                      const FitReport& report,
                      const std::map<std::string, double>& at) {
  const PointTable point = OnePoint(law, at);
  const auto bound = law.bind(point, report.constants);
  Evaluation evaluation;
  const Linearisation& geometry = report.linearisation;
  bound->Evaluate(geometry.inner, report.residual, true, evaluation);
  const bool log = report.residual == Residual::kLog;
  const auto natural = [log](double v) { return log ? std::exp(v) : v; };
  const double center = evaluation.value[0];
  Prediction prediction;
  prediction.value = natural(center);
  for (std::size_t v = 0; v < law.variables.size(); ++v)
    prediction.at[law.variables[v]] = point.columns[v][0];
  FillBeyond(report, prediction);
  if (geometry.covariance.empty()) return prediction;
  const double t = StudentQuantile(0.5 * (1 + report.level), geometry.degrees);
  const double variance = Variance(geometry, evaluation.jacobian);
  const double mean_reach = t * std::sqrt(variance);
  const double reach = t * std::sqrt(variance + geometry.sigma * geometry.sigma);
  prediction.mean_low = natural(center - mean_reach);
  prediction.mean_high = natural(center + mean_reach);
  prediction.low = natural(center - reach);
  prediction.high = natural(center + reach);
  return prediction;
}

Prediction Predict(const FitReport& report, const std::map<std::string, double>& at) {
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
          {"low", or_null(prediction.low)},
          {"high", or_null(prediction.high)},
          {"beyond", beyond},
          {"warning", prediction.warning}};
}

}  // namespace sweep
