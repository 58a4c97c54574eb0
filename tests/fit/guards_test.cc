// What a table is looked at for before a law is fitted: each trap of the field has a guard.
#include "fit/guards.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "fit/fit.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

bool Mentions(const std::vector<std::string>& warnings, const std::string& word) {
  for (const std::string& warning : warnings) {
    if (warning.find(word) != std::string::npos) return true;
  }
  return false;
}

// Chinchilla's form over a grid of sizes; D = ratio(i) · N.
template <class Ratio>
PointTable Grid(Ratio ratio) {
  Random random(5);
  PointTable points{.variables = {"N", "D"}, .columns = {{}, {}}, .observable = "L"};
  for (std::size_t i = 0; i < 40; ++i) {
    const double n = 1e7 * std::pow(1.25, static_cast<double>(i));
    const double d = ratio(i) * n;
    points.columns[0].push_back(n);
    points.columns[1].push_back(d);
    points.y.push_back((1.7 + 400 * std::pow(n, -0.34) + 410 * std::pow(d, -0.28)) *
                       std::exp(0.01 * random.Normal()));
  }
  return points;
}

}  // namespace

// Reference values: scipy.stats.kendalltau (1.17.1), method="exact" and "asymptotic".
TEST_CASE("Kendall's tau has scipy's value and p, exact without ties and corrected with them") {
  const Trend exact = KendallTrend(std::vector<double>{1, 2, 3, 4, 5, 6, 7},
                                   std::vector<double>{7, 5, 6, 4, 2, 3, 1});
  CHECK(exact.tau == Approx(-17.0 / 21));
  CHECK(exact.p == Approx(0.010714285714285714));
  const Trend ties = KendallTrend(std::vector<double>{1, 1, 2, 2, 3, 4, 5, 6},
                                  std::vector<double>{8, 7, 7, 6, 6, 5, 3, 4});
  CHECK(ties.tau == Approx(-0.8461538461538463));
  CHECK(ties.p == Approx(0.005017926146218106).epsilon(1e-6));
}

TEST_CASE("Kendall's tau of a million points takes no time and knows the sign") {
  const std::vector<double> x = LogSpaced(1, 1e6, 1000000);
  std::vector<double> y = x;
  for (double& value : y) value = -value;
  CHECK(KendallTrend(x, y).tau == Approx(-1));
}

TEST_CASE("Points without a monotone trend get a warning before any law") {
  Random random(3);
  PointTable points = Simulate("C", LogSpaced(1e8, 1e12, 20), [](double) { return 0.5; });
  for (double& value : points.y) value *= std::exp(0.05 * random.Normal());
  CHECK(Mentions(Fit(points, {}).warnings, "no monotone trend along C"));
  const PointTable law =
      Simulate("C", LogSpaced(1e8, 1e12, 20), [](double c) { return std::pow(c, -0.1); }, 0.02);
  CHECK(!Mentions(Fit(law, {}).warnings, "monotone"));
}

TEST_CASE("N and D that are one variable get no separate intervals, nearly so a warning") {
  FitOptions options;
  options.law = "chinchilla";
  const FitReport hopeless = Fit(Grid([](std::size_t) { return 20.0; }), options);
  CHECK(Mentions(hopeless.warnings, "one variable in this design"));
  CHECK(!hopeless.At("alpha").low);
  CHECK(!hopeless.At("beta").high);
  const FitReport near = Fit(Grid([](std::size_t i) { return i % 2 == 0 ? 10.0 : 40.0; }), options);
  CHECK(Mentions(near.warnings, "nearly collinear"));
  CHECK(near.At("alpha").low);
  const FitReport good = Fit(
      Grid([](std::size_t i) { return std::pow(10.0, static_cast<double>(i * 7 % 5)); }), options);
  CHECK(!Mentions(good.warnings, "collinear"));
}

TEST_CASE("A setting that moves with compute is named with the slope it leaves") {
  // ln y = -0.10 ln C - 0.2 ln lr, lr rising with C: the plain slope takes both.
  PointTable points{.variables = {"C"}, .columns = {LogSpaced(1e6, 1e10, 12)}, .observable = "L"};
  Covariate rate{.name = "learning_rate", .values = {}};
  for (std::size_t i = 0; i < 12; ++i) {
    rate.values.push_back(i < 6 ? 5e-4 : 1e-3);
    points.y.push_back(std::pow(points.columns[0][i], -0.1) * std::pow(rate.values[i], -0.2));
  }
  points.covariates.push_back(rate);
  const FitReport fit = Fit(points, {});
  REQUIRE(fit.guards.confounders.size() == 1);
  const Confounder& found = fit.guards.confounders.front();
  CHECK(*found.slope_adjusted == Approx(-0.1));
  CHECK(*found.slope < -0.11);
  CHECK(Mentions(fit.warnings, "learning_rate moves with compute"));
}

TEST_CASE("Points at chance level are left out by name") {
  PointTable points = Simulate("C", LogSpaced(1e6, 1e12, 8), [](double c) {
    return std::min(0.9, 12 * std::pow(c, -0.15));
  });
  points.observable = "E";
  FitOptions options;
  options.chance = 0.9;
  const FitReport fit = Fit(points, options);
  CHECK(fit.At("alpha").value == Approx(-0.15));
  REQUIRE(!fit.excluded.empty());
  CHECK_THAT(fit.excluded.front().reason, Catch::Contains("not better than chance"));
  // With twenty examples an error of 0.7 cannot be told from 0.9.
  points.sample_sizes.assign(8, 20);
  CHECK(Fit(points, options).excluded.size() > fit.excluded.size());
}
