// Predictions that do not rest on one law, and chains of two.
#include "fit/average.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

PointTable Floored(std::uint64_t seed, std::size_t n = 12, double noise = 0.005) {
  return Simulate(
      "C", LogSpaced(1, 100, n), [](double c) { return 0.4 + std::pow(c, -0.3); }, noise, seed);
}

bool Holds(const std::optional<double>& low, const std::optional<double>& high, double truth) {
  return low && *low <= truth && truth <= *high;
}

}  // namespace

TEST_CASE("Akaike weights sum to one and favour the law that made the points") {
  const AveragedPrediction p = PredictOverLaws(
      Simulate(
          "C", LogSpaced(1, 1e4, 20), [](double c) { return std::pow(c, -0.3); }, 0.01),
      {},
      {{"C", 1e6}});
  double sum = 0;
  for (const LawShare& share : p.laws) sum += share.weight;
  CHECK(sum == Approx(1));
  CHECK(p.laws.front().law == "power");
  CHECK(p.laws.front().weight > 2 * p.laws.back().weight);
  CHECK(p.value == Approx(std::pow(1e6, -0.3)).epsilon(0.05));
  CHECK(Holds(p.low, p.high, std::pow(1e6, -0.3)));
}

TEST_CASE("Far beyond the data the averaged interval holds the truth where one law's does not") {
  // Two decades of compute, predicted three decades beyond.
  const double truth = 0.4 + std::pow(1e5, -0.3);
  int averaged = 0, power = 0;
  for (std::uint64_t e = 1; e <= (kShortSimulations ? 1 : 6); ++e) {
    const PointTable points = Floored(e);
    const AveragedPrediction p = PredictOverLaws(points, {}, {{"C", 1e5}});
    averaged += Holds(p.low, p.high, truth) ? 1 : 0;
    const Prediction one = Predict(Fit(points, {}), {{"C", 1e5}});
    power += Holds(one.low, one.high, truth) ? 1 : 0;
  }
  CAPTURE(averaged, power);
  CHECK(averaged > power);
  CHECK(averaged >= (kShortSimulations ? 1 : 5));
}

TEST_CASE("Too few points to weigh laws are refused; --law auto works on selections, too") {
  const std::vector<std::size_t> three = {0, 4, 9};
  CHECK_THROWS_AS(PredictOverLaws(Floored(1).Subset(three), {}, {{"C", 1e5}}), Failure);
  FitOptions options;
  options.law = "auto";
  options.select = ParseSelection("binned:8");
  const FitReport fit = Fit(Floored(1, 40), options);
  CHECK(!fit.law_choice.is_null());
}

TEST_CASE("A chain reads the second law at the first one's value and carries both uncertainties") {
  const auto loss = [](double c) { return 1.8 + 30 * std::pow(c, -0.2); };
  const auto error = [](double l) { return 0.1 + 0.8 / (1 + std::pow(l / 2.5, -8)); };
  Random random(4);
  PointTable first{.variables = {"C"}, .columns = {LogSpaced(1e5, 1e9, 20)}, .observable = "L"};
  PointTable second{.variables = {"C"}, .columns = {{}}, .observable = "E"};
  for (const double c : first.columns[0]) {
    first.y.push_back(loss(c) * std::exp(0.003 * random.Normal()));
    second.columns[0].push_back(first.y.back());
    second.y.push_back(error(first.y.back()) * std::exp(0.003 * random.Normal()));
  }
  FitOptions options;
  options.law = "power_floor";
  const FitReport of_loss = Fit(first, options);
  options.law = "sigmoid";
  const FitReport of_error = Fit(second, options);
  const ChainedPrediction chained = PredictChain(of_loss, of_error, {{"C", 3e9}});
  const double truth = error(loss(3e9));
  CHECK(chained.second.value == Approx(truth).epsilon(0.03));
  REQUIRE(chained.low);
  CHECK(Holds(chained.low, chained.high, truth));
  // Wider than as if the loss were known.
  CHECK(*chained.high - *chained.low > *chained.second.high - *chained.second.low);
}
