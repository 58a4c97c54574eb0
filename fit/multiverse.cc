#include "fit/multiverse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/failure.h"
#include "fit/parallel.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

constexpr std::size_t kEnoughToChoose = 6;

struct Factor {
  std::string name;
  std::vector<std::string> alternatives;
};

std::vector<Factor> FactorsOf(const std::vector<MultiverseCurve>& curves,
                              const MultiverseChoices& choices) {
  std::vector<std::string> computes;
  for (const auto& [name, points] : curves.front().points) computes.push_back(name);
  return {{"select", choices.select},
          {"loss", choices.loss},
          {"residual", choices.residual},
          {"law", choices.law},
          {"drop", choices.drop},
          {"compute", computes}};
}

// Every combination, the first alternatives first.
std::vector<Specification> Product(const std::vector<Factor>& factors) {
  std::vector<Specification> all(1);
  for (const Factor& factor : factors) {
    std::vector<Specification> next;
    for (const Specification& specification : all) {
      for (const std::string& alternative : factor.alternatives) {
        next.push_back(specification);
        next.back().choices[factor.name] = alternative;
      }
    }
    all = std::move(next);
  }
  return all;
}

// The points but the `count` of least compute.
PointTable WithoutSmallest(const PointTable& points, std::size_t count) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), 0);
  const std::vector<double>& c = points.Column("C");
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return c[a] < c[b]; });
  order.erase(order.begin(),
              order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size())));
  std::sort(order.begin(), order.end());
  return points.Subset(order);
}

Outcome FitOutcomeOf(const MultiverseCurve& curve,
                     const std::map<std::string, std::string>& choices,
                     const FitOptions& given) {
  Outcome outcome;
  const PointTable& points = curve.points.at(choices.at("compute"));
  const bool choose = points.size() >= kEnoughToChoose;
  FitOptions options = given;
  options.law = choices.at("law");
  options.loss = ParseLoss(choices.at("loss"));
  options.residual = ParseResidual(choices.at("residual"));
  options.select = ParseSelection(choose ? choices.at("select") : "all");
  options.intervals.kind = IntervalKind::kDelta;
  options.threads = 1;
  try {
    const FitReport fit =
        Fit(WithoutSmallest(points, choose ? std::stoul(choices.at("drop")) : 0), options);
    const std::size_t k = FindLaw(options.law).Index("alpha");
    const Estimate& alpha = fit.estimates[k];
    outcome.n = fit.n;
    outcome.alpha = alpha.value;
    outcome.low = alpha.low;
    outcome.high = alpha.high;
    outcome.degrees = fit.linearisation.degrees;
    const std::vector<double>& covariance = fit.linearisation.covariance;
    const std::size_t p = fit.estimates.size();
    if (!covariance.empty() && covariance[k * p + k] > 0)
      outcome.error = std::sqrt(covariance[k * p + k]);
  } catch (const Failure& failure) {
    if (failure.code() != FailureCode::kData) throw;
    outcome.failure = failure.what();
  }
  return outcome;
}

void FillDifference(Specification& specification) {
  const Outcome& a = specification.outcomes[0];
  const Outcome& b = specification.outcomes[1];
  if (!a.failure.empty() || !b.failure.empty()) return;
  specification.difference = a.alpha - b.alpha;
  if (!a.error || !b.error || !(a.degrees > 0) || !(b.degrees > 0)) return;
  const double va = *a.error * *a.error, vb = *b.error * *b.error;
  const double degrees = (va + vb) * (va + vb) / (va * va / a.degrees + vb * vb / b.degrees);
  specification.p = StudentTwoSided(*specification.difference / std::sqrt(va + vb), degrees);
}

// One result a specification: alpha of a curve, or the difference; nothing where it failed.
struct Result {
  const Specification* specification;
  double value;
  bool significant;
};

Result ResultOf(const Specification& s, std::size_t curve, double level) {
  if (curve == s.outcomes.size()) return {&s, s.difference.value_or(NAN), s.p && *s.p < 1 - level};
  const Outcome& o = s.outcomes[curve];
  const bool apart = (o.low && *o.low > 0) || (o.high && *o.high < 0);
  return {&s, o.failure.empty() ? o.alpha : NAN, apart};
}

FactorEffect EffectOf(const std::string& factor,
                      const std::vector<Result>& results,
                      double mean,
                      double total) {
  FactorEffect effect{.factor = factor, .mean = {}};
  std::map<std::string, double> counts;
  for (const Result& r : results) {
    const std::string& choice = r.specification->choices.at(factor);
    effect.mean[choice] += r.value;
    counts[choice] += 1;
  }
  for (auto& [choice, value] : effect.mean) {
    value /= counts[choice];
    if (total > 0) effect.share += counts[choice] * (value - mean) * (value - mean) / total;
  }
  return effect;
}

MultiverseSummary Summarise(const Multiverse& multiverse, std::size_t curve) {
  MultiverseSummary summary;
  std::vector<Result> results;
  std::vector<double> values;
  for (const Specification& s : multiverse.specifications) {
    const Result result = ResultOf(s, curve, multiverse.level);
    if (std::isnan(result.value)) {
      ++summary.failed;
      continue;
    }
    results.push_back(result);
    values.push_back(result.value);
  }
  summary.specifications = results.size();
  if (results.empty()) return summary;
  summary.reference = results.front().value;
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double total = 0;
  for (const Result& r : results) {
    total += (r.value - mean) * (r.value - mean);
    summary.flipped += (r.value < 0) != (summary.reference < 0) ? 1 / n : 0;
    summary.significant += r.significant ? 1 / n : 0;
  }
  for (const std::string& factor : multiverse.factors) {
    FactorEffect effect = EffectOf(factor, results, mean, total);
    if (effect.mean.size() > 1) summary.effects.push_back(std::move(effect));
  }
  std::stable_sort(summary.effects.begin(),
                   summary.effects.end(),
                   [](const auto& a, const auto& b) { return a.share > b.share; });
  std::sort(values.begin(), values.end());
  summary.least = values.front();
  summary.most = values.back();
  summary.median = SampleQuantile(values, 0.5);
  summary.low_quartile = SampleQuantile(values, 0.25);
  summary.high_quartile = SampleQuantile(values, 0.75);
  return summary;
}

// Specifications that gave a result, by growing result: the difference of two curves, else the
// first curve's alpha.
std::vector<Result> InOrder(const Multiverse& multiverse) {
  std::vector<Result> results;
  const std::size_t curve = multiverse.curves.size() == 2 ? 2 : 0;
  for (const Specification& s : multiverse.specifications) {
    const Result result = ResultOf(s, curve, multiverse.level);
    if (!std::isnan(result.value)) results.push_back(result);
  }
  std::stable_sort(results.begin(), results.end(), [](const Result& a, const Result& b) {
    return a.value < b.value;
  });
  return results;
}

Json OrNull(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json SummaryJson(const MultiverseSummary& s) {
  Json effects = Json::array();
  for (const FactorEffect& effect : s.effects)
    effects.push_back(
        {{"factor", effect.factor}, {"share_of_variance", effect.share}, {"mean", effect.mean}});
  return {{"specifications", s.specifications},
          {"failed", s.failed},
          {"median", s.median},
          {"quartiles", {s.low_quartile, s.high_quartile}},
          {"range", {s.least, s.most}},
          {"reference", s.reference},
          {"share_flipped", s.flipped},
          {"share_significant", s.significant},
          {"effects", effects}};
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

}  // namespace

Multiverse RunMultiverse(const std::vector<MultiverseCurve>& curves,
                         const MultiverseChoices& choices,
                         const FitOptions& options) {
  Multiverse multiverse{.curves = {}, .factors = {}, .specifications = {}, .summaries = {}};
  multiverse.level = options.level;
  for (const MultiverseCurve& curve : curves) multiverse.curves.push_back(curve.name);
  const std::vector<Factor> factors = FactorsOf(curves, choices);
  for (const Factor& factor : factors) multiverse.factors.push_back(factor.name);
  multiverse.specifications = Product(factors);
  ParallelFor(multiverse.specifications.size(), options.threads, [&](std::size_t s) {
    Specification& specification = multiverse.specifications[s];
    for (const MultiverseCurve& curve : curves)
      specification.outcomes.push_back(FitOutcomeOf(curve, specification.choices, options));
    if (curves.size() == 2) FillDifference(specification);
  });
  const std::size_t results = curves.size() + (curves.size() == 2 ? 1 : 0);
  for (std::size_t r = 0; r < results; ++r)
    multiverse.summaries.push_back(Summarise(multiverse, r));
  if (multiverse.summaries.back().specifications == 0) {
    throw Failure(FailureCode::kData,
                  "no specification can be fitted: " +
                      multiverse.specifications.front().outcomes.front().failure);
  }
  return multiverse;
}

Json ToJson(const Multiverse& multiverse) {
  Json summaries = Json::array();
  for (std::size_t r = 0; r < multiverse.summaries.size(); ++r) {
    Json json = SummaryJson(multiverse.summaries[r]);
    json["of"] = r < multiverse.curves.size()
                     ? "alpha of " + multiverse.curves[r]
                     : "alpha of " + multiverse.curves[0] + " less that of " + multiverse.curves[1];
    summaries.push_back(std::move(json));
  }
  Json specifications = Json::array();
  for (const Result& result : InOrder(multiverse)) {
    const Specification& s = *result.specification;
    Json outcomes = Json::array();
    for (const Outcome& o : s.outcomes)
      outcomes.push_back(
          {{"n", o.n}, {"alpha", o.alpha}, {"low", OrNull(o.low)}, {"high", OrNull(o.high)}});
    specifications.push_back({{"choices", s.choices},
                              {"outcomes", outcomes},
                              {"difference", OrNull(s.difference)},
                              {"p", OrNull(s.p)}});
  }
  return {{"curves", multiverse.curves},
          {"level", multiverse.level},
          {"summaries", summaries},
          {"specifications", specifications}};
}

std::string SpecificationCurveSvg(const Multiverse& multiverse, const std::string& title) {
  const std::vector<Result> results = InOrder(multiverse);
  constexpr double kLeft = 180, kWidth = 700, kTop = 50, kHeight = 220, kRow = 14;
  double low = results.front().value, high = results.back().value;
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  const double reach = high > low ? high - low : 1;
  const auto x = [&](std::size_t k) {
    return kLeft + kWidth * (static_cast<double>(k) + 0.5) / static_cast<double>(results.size());
  };
  const auto y = [&](double value) { return kTop + kHeight * (high - value) / reach; };
  std::string body = fmt::format(
      "<text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>\n<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" "
      "y2=\"{:.1f}\" stroke=\"#999\"/>\n",
      kLeft,
      Escaped(title),
      kLeft,
      kLeft + kWidth,
      y(0),
      y(0));
  for (const double mark : {low, 0.0, high})
    body += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3f}</text>\n",
                        kLeft - 8,
                        y(mark) + 4,
                        mark);
  for (std::size_t k = 0; k < results.size(); ++k)
    body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"1.8\" fill=\"{}\"/>\n",
                        x(k),
                        y(results[k].value),
                        results[k].significant ? "#1f5fa8" : "#b0b0b0");
  double row = kTop + kHeight + 30;
  for (const FactorEffect& effect : multiverse.summaries.back().effects) {
    for (const auto& [alternative, mean] : effect.mean) {
      body += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{} {}</text>\n",
                          kLeft - 8,
                          row + 4,
                          Escaped(effect.factor),
                          Escaped(alternative));
      for (std::size_t k = 0; k < results.size(); ++k) {
        if (results[k].specification->choices.at(effect.factor) != alternative) continue;
        body += fmt::format(
            "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"1.6\" height=\"8\" fill=\"#444\"/>\n",
            x(k),
            row - 4);
      }
      row += kRow;
    }
    row += kRow / 2;
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" "
      "fill=\"white\"/>\n{}</svg>\n",
      kLeft + kWidth + 20,
      row + 20,
      body);
}

}  // namespace sweep
