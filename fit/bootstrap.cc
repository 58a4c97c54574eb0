#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/failure.h"
#include "fit/intervals.h"
#include "fit/parallel.h"
#include "fit/select.h"
#include "fit/sequences.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;

// Draws with replacement: points, points within each cluster when stratified, or whole clusters.
class Sampler {
 public:
  Sampler(const PointTable& points, Resampling scheme, std::uint64_t seed)
      : seed_(seed), whole_(scheme == Resampling::kCluster) {
    const bool by_cluster = scheme == Resampling::kStratified || whole_;
    if (by_cluster && points.clusters.empty()) {
      throw Failure(FailureCode::kUsage,
                    "this bootstrap needs --cluster COLUMN (or a column model): what repeats");
    }
    std::map<std::string, Indices> strata;
    for (std::size_t i = 0; i < points.size(); ++i) {
      strata[by_cluster ? points.clusters[i] : ""].push_back(i);
    }
    for (auto& [name, members] : strata) strata_.push_back(std::move(members));
  }

  [[nodiscard]] Indices Draw(std::size_t resample) const {
    Random random(seed_, resample);
    Indices drawn;
    for (std::size_t s = 0; whole_ && s < strata_.size(); ++s) {
      const Indices& members = strata_[random.Index(strata_.size())];
      drawn.insert(drawn.end(), members.begin(), members.end());
    }
    if (whole_) return drawn;
    for (const Indices& members : strata_) {
      for (std::size_t i = 0; i < members.size(); ++i)
        drawn.push_back(members[random.Index(members.size())]);
    }
    return drawn;
  }

 private:
  std::uint64_t seed_;
  bool whole_;
  std::vector<Indices> strata_;
};

using Refitted = std::optional<std::vector<double>>;

// The points stay bound; a resample is only other weights.
Refitted RefitWeights(const Problem& problem,
                      const SearchResult& found,
                      const std::vector<double>& weights) {
  const auto distinct = static_cast<std::size_t>(
      std::count_if(weights.begin(), weights.end(), [](double w) { return w > 0; }));
  if (distinct < problem.free_parameters()) return std::nullopt;
  Objective objective = problem.MakeObjective(weights);
  Minimum minimum = Refit(objective, found.best.inner, found.box);
  if (!std::isfinite(minimum.objective)) return std::nullopt;
  return minimum.inner;
}

Refitted RefitPairs(const Problem& problem, const SearchResult& found, const Indices& drawn) {
  std::vector<double> weights(problem.points.size(), 0);
  for (const std::size_t i : drawn) weights[i] += problem.points.Weight(i);
  return RefitWeights(problem, found, weights);
}

Refitted RefitResiduals(const Problem& problem, const SearchResult& found, const Indices& drawn) {
  Objective fitted = problem.MakeObjective();
  (void)fitted.Value(found.best.inner);
  const std::vector<double> residuals(fitted.residuals().begin(), fitted.residuals().end());
  const double n = static_cast<double>(residuals.size());
  const double inflate = std::sqrt(n / std::max(problem.degrees(), 1.0));
  std::vector<double> target(residuals.size());
  for (std::size_t i = 0; i < target.size(); ++i) {
    const double predicted = problem.target[i] + residuals[i];
    target[i] = predicted - inflate * residuals[drawn[i]];
  }
  Objective objective(*problem.bound, target, problem.points.weights, problem.space, problem.loss);
  Minimum minimum = Refit(objective, found.best.inner, found.box);
  if (!std::isfinite(minimum.objective)) return std::nullopt;
  return minimum.inner;
}

// Draws from all points and selects again: the frontier of a resample is another frontier.
Refitted RefitSelected(const Problem& problem,
                       const PointTable& original,
                       const SearchResult& found,
                       const FitOptions& options,
                       const std::string& along,
                       const Indices& drawn) {
  const PointTable resample = original.Subset(drawn);
  const Frontier frontier = FindFrontier(resample, options.select, along);
  const auto [least, most] = std::minmax_element(frontier.along.begin(), frontier.along.end());
  if (frontier.kept.size() < problem.free_parameters() || *least == *most) return std::nullopt;
  PointTable selected = resample.Subset(frontier.kept);
  if (options.select.kind == SelectKind::kBinned) selected.columns[0] = frontier.along;
  const auto bound = problem.law->bind(selected, problem.constants);
  const std::vector<double> target = Targets(selected, problem.space);
  Objective objective(*bound, target, selected.weights, problem.space, problem.loss);
  Minimum minimum = Refit(objective, found.best.inner, found.box);
  if (!std::isfinite(minimum.objective)) return std::nullopt;
  return minimum.inner;
}

struct Tails {
  double low;
  double high;
};

// Bias-corrected and accelerated levels (Efron 1987): bias from the share of resamples below the
// estimate, acceleration from the skewness of the leave-one-out estimates.
Tails BcaTails(const std::vector<double>& sorted,
               double estimate,
               const std::vector<double>& jackknife,
               double level) {
  const auto below = std::lower_bound(sorted.begin(), sorted.end(), estimate) - sorted.begin();
  const double share = static_cast<double>(below) / static_cast<double>(sorted.size());
  const double bias = NormalQuantile(std::clamp(share, 1e-4, 1 - 1e-4));
  const double mean = std::accumulate(jackknife.begin(), jackknife.end(), 0.0) /
                      static_cast<double>(jackknife.size());
  double square = 0;
  double cube = 0;
  for (const double value : jackknife) {
    square += (mean - value) * (mean - value);
    cube += (mean - value) * (mean - value) * (mean - value);
  }
  const double acceleration = square > 0 ? cube / (6 * std::pow(square, 1.5)) : 0;
  const auto corrected = [&](double z) {
    return NormalCdf(bias + (bias + z) / (1 - acceleration * (bias + z)));
  };
  const double z = NormalQuantile(0.5 * (1 + level));
  return {corrected(-z), corrected(z)};
}

std::vector<std::vector<double>> Jackknife(const Problem& problem, const SearchResult& found) {
  std::vector<std::vector<double>> estimates;
  for (std::size_t i = 0; i < problem.points.size(); ++i) {
    std::vector<double> weights(problem.points.size());
    for (std::size_t j = 0; j < weights.size(); ++j)
      weights[j] = i == j ? 0 : problem.points.Weight(j);
    if (Refitted refitted = RefitWeights(problem, found, weights))
      estimates.push_back(std::move(*refitted));
  }
  return estimates;
}

// One quantity of each refit: a parameter, or the law's value at a target.
template <class Quantity>
std::vector<double> Each(const std::vector<std::vector<double>>& refits, Quantity&& quantity) {
  std::vector<double> values;
  values.reserve(refits.size());
  for (const auto& inner : refits) values.push_back(quantity(inner));
  return values;
}

}  // namespace

BootstrapResult BootstrapLimits(const Problem& problem,
                                const PointTable& original,
                                const SearchResult& found,
                                const FitOptions& options,
                                const Intervals& how) {
  const bool reselect = options.select.kind != SelectKind::kAll;
  PointTable drawn_from = reselect ? original : problem.points;
  drawn_from.labels.clear();  // names would be copied with every resample
  const std::string along = drawn_from.Has("C") ? "C" : problem.law->variables.front();
  const Sampler sampler(drawn_from, how.resampling, options.seed);
  std::vector<Refitted> refits(static_cast<std::size_t>(how.resamples));
  ParallelFor(refits.size(), options.threads, [&](std::size_t r) {
    const Indices drawn = sampler.Draw(r);
    if (reselect) {
      refits[r] = RefitSelected(problem, drawn_from, found, options, along, drawn);
    } else if (how.resampling == Resampling::kResidual) {
      refits[r] = RefitResiduals(problem, found, drawn);
    } else {
      refits[r] = RefitPairs(problem, found, drawn);
    }
  });
  BootstrapResult result{.limits = {.parameters = std::vector<Limits>(problem.parameters()),
                                    .targets = std::vector<Limits>(options.targets.size())},
                         .estimates = {},
                         .failed = 0};
  for (Refitted& refitted : refits) {
    if (refitted) {
      result.estimates.push_back(std::move(*refitted));
    } else {
      ++result.failed;
    }
  }
  if (result.estimates.size() < kFewResamples) return result;
  const bool bca = how.resampling == Resampling::kBca && !reselect;
  const auto jackknife = bca ? Jackknife(problem, found) : std::vector<std::vector<double>>{};
  const auto limits_of = [&](auto&& quantity, auto&& natural) -> Limits {
    std::vector<double> sorted = Each(result.estimates, quantity);
    std::sort(sorted.begin(), sorted.end());
    Tails tails{0.5 * (1 - options.level), 0.5 * (1 + options.level)};
    if (bca)
      tails =
          BcaTails(sorted, quantity(found.best.inner), Each(jackknife, quantity), options.level);
    return {.low = natural(SampleQuantile(sorted, tails.low)),
            .high = natural(SampleQuantile(sorted, tails.high))};
  };
  for (std::size_t k = 0; k < problem.parameters(); ++k) {
    if (problem.box.held[k]) continue;
    const Parameter& parameter = problem.law->parameters[k];
    result.limits.parameters[k] =
        limits_of([k](const std::vector<double>& inner) { return inner[k]; },
                  [&](double value) { return ToNatural(parameter, value); });
  }
  for (std::size_t t = 0; t < options.targets.size(); ++t) {
    result.limits.targets[t] =
        limits_of(ValueAtTarget(*problem.law, problem.constants, problem.space, options.targets[t]),
                  [&](double value) { return FromSpace(value, problem.space); });
  }
  return result;
}

}  // namespace sweep
