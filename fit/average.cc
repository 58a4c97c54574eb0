#include "fit/average.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/failure.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

constexpr double kCounts = 1e-3;  // a weight below this moves nothing
// A law that is another one without a parameter, and that other one: its interval holds both.
constexpr std::pair<const char*, const char*> kWithin[] = {{"power", "power_floor"}};

// A law's distribution at the target: half of a Student's t on each side of a centre, each as wide
// as its own limit says, so that the law's interval is the component's. A side without a limit
// reaches for ever.
struct Component {
  double weight, centre, below, above, degrees;

  double Cdf(double x) const {
    const double scale = x < centre ? below : above;
    return std::isfinite(scale) ? StudentCdf((x - centre) / scale, degrees) : 0.5;
  }
};

// The value below which a share p of the mixture lies; nothing where a side without limit holds
// more than that.
std::optional<double> MixtureQuantile(const std::vector<Component>& components, double p) {
  constexpr int kWidenings = 60;
  const auto below = [&](double x) {
    double sum = 0;
    for (const Component& c : components) sum += c.weight * c.Cdf(x);
    return sum;
  };
  double low = std::numeric_limits<double>::infinity(), high = -low, reach = 1e-12;
  for (const Component& c : components) {
    low = std::min(low, c.centre);
    high = std::max(high, c.centre);
    for (const double scale : {c.below, c.above}) {
      if (std::isfinite(scale)) reach = std::max(reach, scale);
    }
  }
  for (int i = 0; i < kWidenings && below(low) >= p; ++i, reach *= 2) low -= reach;
  for (int i = 0; i < kWidenings && below(high) <= p; ++i, reach *= 2) high += reach;
  if (below(low) >= p || below(high) <= p) return std::nullopt;
  for (int i = 0; i < 200 && high - low > 1e-15 * std::abs(low); ++i) {
    const double middle = 0.5 * (low + high);
    (below(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

struct FittedLaw {
  FitReport report;
  double aicc;
};

FitOptions OptionsFor(const std::string& law, const FitOptions& options) {
  FitOptions one = options;
  one.law = law;
  one.residual = options.residual.value_or(Residual::kLog);
  one.targets.clear();
  return one;
}

// Best first. Without intervals: most laws will weigh nothing.
std::vector<FittedLaw> FitLaws(const PointTable& points, const FitOptions& options) {
  std::vector<FittedLaw> fitted;
  for (const std::string& name : LawsFor(points.variables)) {
    const Law& law = FindLaw(name);
    if (!std::isfinite(Aicc(points.size(), 1, law.parameters.size()))) continue;
    FitOptions one = OptionsFor(name, options);
    one.intervals.kind = IntervalKind::kNone;
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
  std::stable_sort(fitted.begin(), fitted.end(), [](const FittedLaw& a, const FittedLaw& b) {
    return a.aicc < b.aicc;
  });
  return fitted;
}

// With the interval that the law's fit gives its own predictions.
Prediction PredictByItself(const std::string& name,
                           const PointTable& points,
                           const FitOptions& options,
                           const Target& at) {
  const Law& law = FindLaw(name);
  FitOptions one = OptionsFor(name, options);
  one.targets = {TargetOfLaw(law, at)};
  return Predict(Fit(AsVariablesOf(law, points), one), one.targets.front());
}

// The law's own weight and that of its special cases; none for a special case.
double WeightInMixture(const std::vector<LawShare>& laws, const LawShare& share) {
  if (!share.within.empty()) return 0;
  double weight = share.weight;
  for (const LawShare& other : laws) weight += other.within == share.law ? other.weight : 0;
  return weight;
}

void FindSpecialCases(std::vector<LawShare>& laws) {
  for (LawShare& share : laws) {
    for (const auto& [special, general] : kWithin) {
      const auto is_general = [&, name = general](const LawShare& l) { return l.law == name; };
      if (share.law == special && std::any_of(laws.begin(), laws.end(), is_general))
        share.within = general;
    }
  }
}

Component MakeComponent(double weight,
                        const Prediction& p,
                        const std::optional<double>& low,
                        const std::optional<double>& high,
                        const FitReport& report) {
  const double centre = InSpace(p.value, report.residual);
  const double t = StudentQuantile(0.5 * (1 + report.level), report.linearisation.degrees);
  const auto scale = [&](const std::optional<double>& limit) {
    if (!limit) return std::numeric_limits<double>::infinity();
    const double reach = std::abs(InSpace(*limit, report.residual) - centre);
    return std::max(reach / t, 1e-300);
  };
  return {weight, centre, scale(low), scale(high), report.linearisation.degrees};
}

void FillMixture(const std::vector<FittedLaw>& fitted, AveragedPrediction& averaged) {
  const Residual space = fitted.front().report.residual;
  std::vector<Component> laws, new_points;
  double mean = 0, counted = 0;
  for (std::size_t i = 0; i < fitted.size(); ++i) {
    const LawShare& share = averaged.laws[i];
    const Prediction& p = share.prediction;
    mean += share.weight * InSpace(p.value, space);
    const double weight = WeightInMixture(averaged.laws, share);
    if (weight < kCounts || p.method.empty()) continue;
    counted += weight;
    laws.push_back(MakeComponent(weight, p, p.mean_low, p.mean_high, fitted[i].report));
    new_points.push_back(MakeComponent(weight, p, p.low, p.high, fitted[i].report));
  }
  averaged.value = FromSpace(mean, space);
  if (laws.empty()) return;
  const double level = fitted.front().report.level;
  const auto limit = [&](const std::vector<Component>& mixture, double p) {
    std::optional<double> at = MixtureQuantile(mixture, counted * p);
    if (at) at = FromSpace(*at, space);
    return at;
  };
  averaged.mean_low = limit(laws, 0.5 * (1 - level));
  averaged.mean_high = limit(laws, 0.5 * (1 + level));
  averaged.low = limit(new_points, 0.5 * (1 - level));
  averaged.high = limit(new_points, 0.5 * (1 + level));
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
  const std::vector<FittedLaw> fitted = FitLaws(points, options);
  AveragedPrediction averaged{.at = at, .laws = {}};
  double sum = 0;
  for (const FittedLaw& law : fitted) {
    const double weight = std::exp(-0.5 * (law.aicc - fitted.front().aicc));
    averaged.laws.push_back({.law = law.report.law,
                             .weight = weight,
                             .within = {},
                             .prediction = Predict(law.report, at)});
    sum += weight;
  }
  averaged.least = averaged.most = averaged.laws.front().prediction.value;
  for (LawShare& share : averaged.laws) {
    share.weight /= sum;
    if (share.weight < kCounts) continue;
    averaged.least = std::min(averaged.least, share.prediction.value);
    averaged.most = std::max(averaged.most, share.prediction.value);
  }
  FindSpecialCases(averaged.laws);
  for (LawShare& share : averaged.laws) {
    if (WeightInMixture(averaged.laws, share) >= kCounts)
      share.prediction = PredictByItself(share.law, points, options, at);
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
    laws.push_back({{"law", share.law},
                    {"weight", share.weight},
                    {"within", share.within.empty() ? Json(nullptr) : Json(share.within)},
                    {"value", share.prediction.value},
                    {"mean_low", OrNull(share.prediction.mean_low)},
                    {"mean_high", OrNull(share.prediction.mean_high)},
                    {"interval_method", share.prediction.method}});
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
