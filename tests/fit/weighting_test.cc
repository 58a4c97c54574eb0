#include "fit/weighting.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "fit/fit.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

// `seeds` runs of each of n designs: noise of the design and of the seed.
PointTable Replicated(std::size_t n, std::size_t seeds, double of_design, double of_seed) {
  Random random(11);
  PointTable points{.variables = {"C"}, .columns = {{}}, .observable = "L"};
  for (const double c : LogSpaced(1e6, 1e10, n)) {
    const double design = of_design * random.Normal();
    for (std::size_t s = 0; s < seeds; ++s) {
      points.columns[0].push_back(c);
      points.y.push_back(30 * std::pow(c, -0.2) * std::exp(design + of_seed * random.Normal()));
    }
  }
  return points;
}

double Width(const FitReport& fit) {
  return *fit.At("alpha").high - *fit.At("alpha").low;
}

}  // namespace

TEST_CASE("Binomial weights are the inverse variances of proportions") {
  PointTable points{.variables = {"C"}, .columns = {{1, 10, 100}}, .observable = "E"};
  points.y = {0.5, 0.2, 0.2};
  points.sample_sizes = {1000, 1000, 4000};
  const PointTable linear = WithWeights(points, Weighting::kBinomial, Residual::kLinear);
  CHECK(linear.weights[2] / linear.weights[1] == Approx(4).epsilon(1e-2));
  CHECK(linear.weights[1] / linear.weights[0] == Approx(0.25 / 0.16).epsilon(1e-2));
  const PointTable log = WithWeights(points, Weighting::kBinomial, Residual::kLog);
  // Var ln E = (1-E)/(nE): the better a model, the less is known of its error's logarithm.
  CHECK(log.weights[1] / log.weights[0] == Approx(0.25).epsilon(1e-2));
  CHECK(log.weights[0] + log.weights[1] + log.weights[2] == Approx(3));
  points.observable = "L";
  CHECK_THROWS_AS(WithWeights(points, Weighting::kBinomial, Residual::kLog), Failure);
}

TEST_CASE("Seed variances weigh noisy designs down and need a second seed") {
  PointTable points{.variables = {"C"}, .columns = {{1, 1, 10, 10, 100}}, .observable = "L"};
  points.y = {1.0, 1.2, 0.50, 0.51, 0.3};
  const PointTable weighted = WithWeights(points, Weighting::kSeedVariance, Residual::kLog);
  CHECK(weighted.weights[0] == weighted.weights[1]);
  CHECK(weighted.weights[0] < weighted.weights[4]);
  CHECK(weighted.weights[4] < weighted.weights[2]);
  const std::vector<std::size_t> singles = {0, 2, 4};
  CHECK_THROWS_AS(WithWeights(points.Subset(singles), Weighting::kSeedVariance, Residual::kLog),
                  Failure);
}

TEST_CASE("Seeds as a random effect: ten seeds of a design are not ten designs") {
  const PointTable points = Replicated(6, 10, 0.05, 0.005);
  FitOptions options;
  const FitReport pooled = Fit(points, options);
  options.seeds = Seeds::kRandom;
  const FitReport random = Fit(points, options);
  CHECK(random.n == 6);
  CHECK(random.At("alpha").value == Approx(pooled.At("alpha").value).epsilon(1e-9));
  CHECK(Width(random) > 2.5 * Width(pooled));
  CHECK(random.derived.at("seed_standard_deviation") == Approx(0.005).epsilon(0.3));
  CHECK(random.derived.at("design_standard_deviation") == Approx(0.05).epsilon(0.6));
  CHECK(random.id != pooled.id);
}

TEST_CASE("Intervals of seeds as a random effect hold the truth at their level") {
  int held = 0;
  constexpr int kExperiments = Experiments(300);
  for (std::uint64_t e = 0; e < kExperiments; ++e) {
    Random random(e);
    PointTable points{.variables = {"C"}, .columns = {{}}, .observable = "L"};
    for (const double c : LogSpaced(1, 100, 8)) {
      const double design = 0.03 * random.Normal();
      for (std::size_t s = 0; s < 1 + (points.size() % 3); ++s) {
        points.columns[0].push_back(c);
        points.y.push_back(std::pow(c, -0.3) * std::exp(design + 0.02 * random.Normal()));
      }
    }
    FitOptions options;
    options.seeds = Seeds::kRandom;
    const Estimate alpha = Fit(points, options).At("alpha");
    held += *alpha.low <= -0.3 && -0.3 <= *alpha.high ? 1 : 0;
  }
  CHECK(held / static_cast<double>(kExperiments) == Approx(0.95).margin(Margin(0.04)));
}

TEST_CASE("A bootstrap of whole clusters is wider than one of points that repeat") {
  const PointTable base = Replicated(8, 6, 0.05, 0.001);
  PointTable points = base;
  for (std::size_t i = 0; i < points.size(); ++i)
    points.clusters.push_back(std::to_string(points.columns[0][i]));
  FitOptions options;
  options.intervals = ParseIntervals("bootstrap:400");
  const double of_points = Width(Fit(points, options));
  options.intervals = ParseIntervals("bootstrap:400:cluster");
  CHECK(Width(Fit(points, options)) > 1.5 * of_points);
  CHECK_THROWS_AS(Fit(base, options), Failure);
}
