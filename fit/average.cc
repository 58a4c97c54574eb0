#include "fit/average.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/failure.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

constexpr double kCounts = 1e-3;  // a weight below this moves nothing

// A law's distribution at the target: Student's t about a centre.
struct Component {
  double weight, centre, scale, degrees;
};

// The value below which a share p of the mixture lies.
double MixtureQuantile(const std::vector<Component>& components, double p) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Component& c : components) {
    const double reach = c.scale * std::abs(StudentQuantile(0.5 * std::min(p, 1 - p), c.degrees));
    low = std::min(low, c.centre - reach);
    high = std::max(high, c.centre + reach);
  }
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    double below = 0;
    for (const Component& c : components)
      below += c.weight * StudentCdf((middle - c.centre) / c.scale, c.degrees);
    (below < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

struct FittedLaw {
  FitReport report;
  double aicc;
};

std::vector<FittedLaw> FitLaws(const PointTable& points, const FitOptions& options) {
  std::vector<FittedLaw> fitted;
  FitOptions one = options;
  one.residual = options.residual.value_or(Residual::kLog);
  one.intervals.kind = IntervalKind::kDelta;
  one.targets.clear();
  for (const std::string& name : LawsFor(points.variables)) {
    const Law& law = FindLaw(name);
    one.law = name;
    try {
      FitReport report = Fit(AsVariablesOf(law, points), one);
      const double aicc = Aicc(report.n, 2 * report.objective, law.parameters.size());
      if (std::isfinite(aicc) && !report.linearisation.covariance.empty())
        fitted.push_back({std::move(report), aicc});
    } catch (const Failure& failure) {
      if (failure.code() != FailureCode::kData) throw;  // too few points for this law
    }
  }
  if (fitted.empty())
    throw Failure(FailureCode::kData, "too few points to weigh laws against each other (no AICc)");
  return fitted;
}

void FillMixture(const std::vector<FittedLaw>& fitted, AveragedPrediction& averaged) {
  const Residual space = fitted.front().report.residual;
  std::vector<Component> laws, new_points;
  double mean = 0;
  for (std::size_t i = 0; i < fitted.size(); ++i) {
    const LawShare& share = averaged.laws[i];
    const Linearisation& at = fitted[i].report.linearisation;
    const double centre = InSpace(share.prediction.value, space);
    const double t = StudentQuantile(0.5 * (1 + fitted[i].report.level), at.degrees);
    const double scale =
        std::max((InSpace(*share.prediction.mean_high, space) - centre) / t, 1e-300);
    mean += share.weight * centre;
    laws.push_back({share.weight, centre, scale, at.degrees});
    new_points.push_back({share.weight, centre, std::hypot(scale, at.sigma), at.degrees});
  }
  const double level = fitted.front().report.level;
  averaged.value = FromSpace(mean, space);
  averaged.mean_low = FromSpace(MixtureQuantile(laws, 0.5 * (1 - level)), space);
  averaged.mean_high = FromSpace(MixtureQuantile(laws, 0.5 * (1 + level)), space);
  averaged.low = FromSpace(MixtureQuantile(new_points, 0.5 * (1 - level)), space);
  averaged.high = FromSpace(MixtureQuantile(new_points, 0.5 * (1 + level)), space);
}

// The standard error of a law's value there, from its interval; nothing without one.
std::optional<double> ErrorAt(const FitReport& report, const Prediction& p) {
  if (!p.mean_high) return std::nullopt;
  const double t = StudentQuantile(0.5 * (1 + report.level), report.linearisation.degrees);
  return (InSpace(*p.mean_high, report.residual) - InSpace(p.value, report.residual)) / t;
}

}  // namespace

AveragedPrediction PredictOverLaws(const PointTable& points,
                                   const FitOptions& options,
                                   const std::map<std::string, double>& at) {
  std::vector<FittedLaw> fitted = FitLaws(points, options);
  std::stable_sort(fitted.begin(), fitted.end(), [](const FittedLaw& a, const FittedLaw& b) {
    return a.aicc < b.aicc;
  });
  AveragedPrediction averaged{.at = at, .laws = {}};
  double sum = 0;
  for (const FittedLaw& law : fitted) {
    const double weight = std::exp(-0.5 * (law.aicc - fitted.front().aicc));
    averaged.laws.push_back({law.report.law, weight, Predict(law.report, at)});
    sum += weight;
  }
  averaged.least = averaged.most = averaged.laws.front().prediction.value;
  for (LawShare& share : averaged.laws) {
    share.weight /= sum;
    if (share.weight < kCounts) continue;
    averaged.least = std::min(averaged.least, share.prediction.value);
    averaged.most = std::max(averaged.most, share.prediction.value);
  }
  FillMixture(fitted, averaged);
  return averaged;
}

ChainedPrediction PredictChain(const FitReport& first,
                               const FitReport& second,
                               const std::map<std::string, double>& at) {
  const std::vector<std::string>& variables = FindLaw(second.law).variables;
  if (variables.size() != 1)
    throw Failure(FailureCode::kUsage, "--then takes a law of one variable, not " + second.law);
  const auto read = [&](double value) { return Predict(second, {{variables.front(), value}}); };
  ChainedPrediction chained{.first = Predict(first, at), .second = {}};
  chained.second = read(chained.first.value);
  const std::optional<double> error1 = ErrorAt(first, chained.first);
  const std::optional<double> error2 = ErrorAt(second, chained.second);
  if (!error1 || !error2) return chained;
  // The second law's slope along one unit of the first one's residual space.
  const double step = 1e-4 * std::max(std::abs(InSpace(chained.first.value, first.residual)), 1e-2);
  const auto moved = [&](double by) {
    const double value =
        FromSpace(InSpace(chained.first.value, first.residual) + by, first.residual);
    return InSpace(read(value).value, second.residual);
  };
  const double slope = (moved(step) - moved(-step)) / (2 * step);
  const Linearisation& a = first.linearisation;
  const Linearisation& b = second.linearisation;
  const double variance1 = slope * slope * (*error1 * *error1 + a.sigma * a.sigma);
  const double variance2 = *error2 * *error2 + b.sigma * b.sigma;
  const double sum = variance1 + variance2;
  if (!(sum > 0)) return chained;
  const double degrees =
      sum * sum / (variance1 * variance1 / a.degrees + variance2 * variance2 / b.degrees);
  const double reach = StudentQuantile(0.5 * (1 + first.level), degrees) * std::sqrt(sum);
  const double centre = InSpace(chained.second.value, second.residual);
  chained.low = FromSpace(centre - reach, second.residual);
  chained.high = FromSpace(centre + reach, second.residual);
  return chained;
}

namespace {

Json OrNull(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

}  // namespace

Json ToJson(const AveragedPrediction& averaged) {
  Json laws = Json::array();
  for (const LawShare& share : averaged.laws)
    laws.push_back(
        {{"law", share.law}, {"weight", share.weight}, {"value", share.prediction.value}});
  return {{"at", averaged.at},
          {"value", averaged.value},
          {"mean_low", OrNull(averaged.mean_low)},
          {"mean_high", OrNull(averaged.mean_high)},
          {"low", OrNull(averaged.low)},
          {"high", OrNull(averaged.high)},
          {"range_over_laws", {averaged.least, averaged.most}},
          {"laws", laws}};
}

Json ToJson(const ChainedPrediction& chained) {
  return {{"first", ToJson(chained.first)},
          {"second", ToJson(chained.second)},
          {"value", chained.second.value},
          {"low", OrNull(chained.low)},
          {"high", OrNull(chained.high)}};
}

}  // namespace sweep
