// How to split compute: Hoffmann et al. 2022's three approaches on designs whose answer is known.
#include "fit/allocate.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "fit/sequences.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

struct Truth {
  double e = 1.69, a = 406.4, b = 410.7, alpha = 0.34,
         beta = 0.28;  // as printed by Hoffmann et al.
  [[nodiscard]] double At(double n, double d) const {
    return e + a * std::pow(n, -alpha) + b * std::pow(d, -beta);
  }
};

double BestSize(const Truth& t, double c) {
  const double g = std::pow(t.alpha * t.a / (t.beta * t.b), 1 / (t.alpha + t.beta));
  return g * std::pow(c / 6, t.beta / (t.alpha + t.beta));
}

// Iso-FLOP profiles: at each budget nine sizes around the best one, `skew` to one side of it.
PointTable Profiles(const Truth& truth, double noise, double skew = 1, std::uint64_t seed = 1) {
  Random random(seed);
  PointTable points{.variables = {"N", "D"}, .columns = {{}, {}}, .observable = "L"};
  for (const double c : {6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21}) {
    for (int k = -4; k <= 4; ++k) {
      const double n = skew * BestSize(truth, c) * std::pow(1.5, k);
      points.columns[0].push_back(n);
      points.columns[1].push_back(c / (6 * n));
      points.y.push_back(truth.At(n, c / (6 * n)) * std::exp(noise * random.Normal()));
    }
  }
  return points;
}

const AllocationApproach& Approach(const Allocation& allocation, const std::string& name) {
  for (const AllocationApproach& approach : allocation.approaches) {
    if (approach.name == name) return approach;
  }
  throw std::runtime_error("no approach " + name);
}

FitOptions Quick() {
  FitOptions options;
  options.loss = ParseLoss("huber:1e-3");
  options.intervals.resamples = 200;
  return options;
}

}  // namespace

TEST_CASE("The parametric approach gives the law's own optimum and the published allocation") {
  const Truth truth;
  const Allocation allocation = Allocate(Profiles(truth, 0), Quick());
  const AllocationApproach& parametric = Approach(allocation, "parametric");
  CHECK(parametric.line.exponent == Approx(0.28 / 0.62).epsilon(1e-6));
  const AllocationTarget target = TargetOf(allocation, parametric, 5.76e23);
  CHECK(target.n == Approx(BestSize(truth, 5.76e23)).epsilon(1e-5));
  CHECK(target.n * target.d * 6 == Approx(5.76e23));
  // No other split of the same compute has a lower loss.
  for (const double other : {0.9, 1.1})
    CHECK(truth.At(target.n * other, target.d / other) > truth.At(target.n, target.d));
  CHECK(*target.loss == Approx(truth.At(target.n, target.d)).epsilon(1e-9));
}

TEST_CASE("Centred parabolas of a symmetric law are right, skewed designs biased as predicted") {
  Truth symmetric;
  symmetric.beta = symmetric.alpha;
  const Allocation centred = Allocate(Profiles(symmetric, 0), Quick());
  CHECK(Approach(centred, "isoflop").line.exponent == Approx(0.5).margin(1e-6));
  CHECK(std::abs(*Approach(centred, "isoflop").design_bias) < 1e-6);
  // Without noise the bias of the design is all there is, and it is known beforehand.
  const Allocation skewed = Allocate(Profiles({}, 0, 3), Quick());
  const AllocationApproach& parabolas = Approach(skewed, "isoflop");
  CHECK(parabolas.optima.size() == 9);
  CHECK(std::abs(*parabolas.design_factor - 1) > 0.01);
  PointTable sliding = Profiles({}, 0, 3);  // the later budgets' sizes are above the best ones
  const PointTable centred_sizes = Profiles({}, 0, 1);
  for (std::size_t i = 0; i < 36; ++i) {
    for (std::size_t v = 0; v < 2; ++v) sliding.columns[v][i] = centred_sizes.columns[v][i];
    sliding.y[i] = centred_sizes.y[i];
  }
  const Allocation slid = Allocate(sliding, Quick());
  const AllocationApproach& biased = Approach(slid, "isoflop");
  CHECK(std::abs(*biased.design_bias) > 1e-3);
  CHECK(biased.line.exponent - *biased.design_bias == Approx(0.28 / 0.62).epsilon(1e-5));
}

TEST_CASE("Intervals of both approaches hold the truth under noise") {
  int parametric = 0, parabolas = 0;
  constexpr int kExperiments = Experiments(40);
  for (std::uint64_t e = 1; e <= kExperiments; ++e) {
    Truth symmetric;
    symmetric.beta = symmetric.alpha;
    FitOptions options = Quick();
    options.loss = {};
    const Allocation allocation = Allocate(Profiles(symmetric, 0.002, 1, e), options);
    const auto holds = [&](const char* name) {
      const ExponentInterval i = ExponentIntervalOf(Approach(allocation, name), 0.95);
      return i.low && *i.low <= 0.5 && 0.5 <= *i.high;
    };
    parametric += holds("parametric") ? 1 : 0;
    parabolas += holds("isoflop") ? 1 : 0;
  }
  CHECK(parametric >= kExperiments * 34 / 40);
  CHECK(parabolas >= kExperiments * 34 / 40);
}

TEST_CASE("Budgets whose minimum lies beyond their sizes are left out, and said so") {
  PointTable points = Profiles({}, 0);
  std::vector<std::size_t> kept;  // the first budget keeps sizes far above its best one
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i >= 9 || i >= 5) kept.push_back(i);
  }
  const Allocation allocation = Allocate(points.Subset(kept), Quick());
  const AllocationApproach& parabolas = Approach(allocation, "isoflop");
  REQUIRE(parabolas.excluded.size() == 1);
  CHECK_THAT(parabolas.excluded[0].reason, Catch::Contains("beyond the sizes trained"));
  CHECK(parabolas.optima.size() == 8);
}

TEST_CASE("The envelope of training curves finds the exponent, without the design's edges") {
  const Truth truth;
  PointTable points{.variables = {"N", "D"}, .columns = {{}, {}}, .observable = "L"};
  for (int s = 0; s < 25; ++s) {
    const double n = 5e7 * std::pow(1.25, s);
    for (int k = 0; k < 60; ++k) {
      const double d = n * std::pow(10, -0.5 + 4 * k / 59.0);
      points.columns[0].push_back(n);
      points.columns[1].push_back(d);
      points.y.push_back(truth.At(n, d));
    }
  }
  const Allocation allocation = Allocate(points, Quick());
  const AllocationApproach& envelope = Approach(allocation, "envelope");
  CHECK(envelope.failure.empty());
  CHECK(envelope.line.exponent == Approx(0.28 / 0.62).margin(0.01));
  for (const Optimum& optimum : envelope.optima) {
    CHECK(optimum.n > 5.1e7);
    CHECK(optimum.n < 5e7 * std::pow(1.25, 23.5));
  }
}

TEST_CASE("Compute that grows faster than size moves the optimum as its derivative says") {
  // C = 2e-9 N^1.2 D, as for image towers: minimise along it numerically.
  const Truth truth;
  PointTable points = Profiles(truth, 0);
  points.variables.emplace_back("C");
  points.columns.emplace_back();
  for (std::size_t i = 0; i < points.size(); ++i)
    points.columns[2].push_back(2e-9 * std::pow(points.columns[0][i], 1.2) * points.columns[1][i]);
  const Allocation allocation = Allocate(points, Quick());
  CHECK(allocation.rule.m == Approx(1.2));
  CHECK(allocation.rule.k == Approx(2e-9));
  const AllocationTarget target = TargetOf(allocation, Approach(allocation, "parametric"), 1e12);
  for (const double other : {0.95, 1.05}) {
    const double n = target.n * other;
    CHECK(truth.At(n, allocation.rule.Data(1e12, n)) > truth.At(target.n, target.d));
  }
}

TEST_CASE("Computes that run into each other are no budget") {
  const Truth truth;
  PointTable points{.variables = {"N", "D"}, .columns = {{}, {}}, .observable = "L"};
  for (int i = 0; i < 120; ++i) {
    const double c = 1e19 * std::pow(1.05, i);
    const double n = BestSize(truth, c) * std::pow(1.5, i % 9 - 4);
    points.columns[0].push_back(n);
    points.columns[1].push_back(c / (6 * n));
    points.y.push_back(truth.At(n, c / (6 * n)));
  }
  const Allocation allocation = Allocate(points, Quick());
  const AllocationApproach& parabolas = Approach(allocation, "isoflop");
  CHECK_THAT(parabolas.failure, Catch::Contains("0 of 1 budgets"));
  CHECK_THAT(parabolas.excluded.front().reason, Catch::Contains("no one budget"));
}

TEST_CASE("Approaches that a design does not allow say why instead of a number") {
  const PointTable all = Profiles({}, 0);
  std::vector<std::size_t> one_budget;
  for (std::size_t i = 0; i < 9; ++i) one_budget.push_back(i);
  const Allocation allocation = Allocate(all.Subset(one_budget), Quick());
  CHECK_THAT(Approach(allocation, "isoflop").failure, Catch::Contains("1 of 1 budgets"));
  CHECK_THAT(Approach(allocation, "envelope").failure, Catch::Contains("sizes have a curve"));
  PointTable without = all;
  without.variables = {"N", "x"};
  CHECK_THROWS_AS(Allocate(without, Quick()), Failure);
}
