// Several curves at once: one exponent for all, which is best, recipes calibrated by simulation.
#include "fit/compare.h"
#include "fit/adjust.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "fit/recipe_lines.h"
#include "fit/statistics.h"
#include "published_points.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

CurveFit Curve(
    const std::string& name, double alpha, double noise, std::uint64_t seed, std::size_t n = 10) {
  const PointTable points = Simulate(
      "C", LogSpaced(1e6, 1e10, n), [=](double c) { return 10 * std::pow(c, alpha); }, noise, seed);
  return {name, Fit(points, {})};
}

PointTable Published(bool openai, const std::string& set) {
  PointTable points =
      PublishedPoints("clip_zeroshot.csv", openai, {{"eval_dataset", set}, {"metric", "acc1"}});
  for (const std::string& label : points.labels)
    points.clusters.push_back(label.substr(0, label.find(' ')));
  return points;
}

}  // namespace

TEST_CASE("The test of one slope for two curves is the square of Welch's t") {
  const CurveFit a = Curve("a", -0.2, 0.03, 1), b = Curve("b", -0.22, 0.06, 2, 7);
  const ExponentDifference pair = CompareExponents(a, b);
  const CommonSlope common = TestCommonSlope({a, b});
  CHECK(common.f == Approx(pair.t * pair.t));
  CHECK(common.degrees2 == Approx(pair.degrees));
  CHECK(common.p == Approx(pair.p));
}

TEST_CASE("One slope for four curves is kept where it holds, rejected where one differs") {
  int rejected = 0;
  constexpr int kExperiments = Experiments(400);
  for (std::uint64_t e = 0; e < kExperiments; ++e) {
    const CommonSlope common = TestCommonSlope({Curve("a", -0.2, 0.02, 10 * e + 1),
                                                Curve("b", -0.2, 0.05, 10 * e + 2, 6),
                                                Curve("c", -0.2, 0.03, 10 * e + 3, 14),
                                                Curve("d", -0.2, 0.02, 10 * e + 4)});
    rejected += common.p < 0.05 ? 1 : 0;
  }
  CHECK(rejected / static_cast<double>(kExperiments) == Approx(0.05).margin(Margin(0.03)));
  const CommonSlope broken = TestCommonSlope(
      {Curve("a", -0.2, 0.02, 1), Curve("b", -0.2, 0.02, 2), Curve("c", -0.25, 0.02, 3)});
  CHECK(broken.p < 1e-3);
}

TEST_CASE("Probabilities of being best sum to one and favour the lower curve") {
  const std::vector<CurveFit> curves = {
      Curve("a", -0.20, 0.05, 1), Curve("b", -0.21, 0.05, 2), Curve("c", -0.10, 0.05, 3)};
  const std::vector<double> best = ProbabilitiesOfBest(curves, 1e12);
  CHECK(best[0] + best[1] + best[2] == Approx(1));
  CHECK(best[1] > best[0]);
  CHECK(best[2] < 1e-3);
  CHECK(ProbabilityFirstBetter(curves[0].fit, curves[1].fit, 1e12) ==
        Approx(1 - ProbabilityFirstBetter(curves[1].fit, curves[0].fit, 1e12)).margin(1e-3));
}

TEST_CASE("One law for all groups is tested by the extra sum of squares") {
  FitOptions options;
  options.law = "power_floor";
  const auto points = [](double floor, std::uint64_t seed) {
    return Simulate(
        "C",
        LogSpaced(1, 1e3, 12),
        [=](double c) { return floor + std::pow(c, -0.5); },
        0.01,
        seed);
  };
  const auto test = [&](const PointTable& a, const PointTable& b) {
    PointTable both = a;
    both.columns[0].insert(both.columns[0].end(), b.columns[0].begin(), b.columns[0].end());
    both.y.insert(both.y.end(), b.y.begin(), b.y.end());
    return TestCommonLaw(Fit(both, options), {{"a", Fit(a, options)}, {"b", Fit(b, options)}});
  };
  const CommonLaw same = test(points(0.5, 1), points(0.5, 2));
  CHECK(same.degrees1 == 3);
  CHECK(same.degrees2 == 18);
  CHECK(same.p > 0.05);
  const CommonLaw other = test(points(0.5, 1), points(0.6, 2));
  CHECK(other.p < 1e-6);
  const auto differences =
      CompareParameters(Fit(points(0.5, 1), options), Fit(points(0.6, 2), options));
  REQUIRE(differences.size() == 3);
  CHECK(differences[0].parameter == "e_inf");
  CHECK(differences[0].p < 1e-3);
}

// Two curves of one slope, each reduced to the smallest of five bins. Without calibration Welch's
// test on such minima does not keep its level.
TEST_CASE("The calibrated test of binned minima rejects a true null at its level") {
  int rejected = 0;
  constexpr int kExperiments = Experiments(200);
  for (std::uint64_t e = 0; e < kExperiments; ++e) {
    const auto cloud = [&](std::uint64_t seed) {
      return Simulate(
          "C",
          LogSpaced(1e10, 1e13, 29),
          [](double c) { return 8 * std::pow(c, -0.11); },
          0.1,
          seed);
    };
    const PointTable a = cloud(2 * e + 1), b = cloud(2 * e + 2);
    const Selection binned{.kind = SelectKind::kBinned, .bins = 5};
    const auto p = CalibratedWelchP({&a, binned}, {&b, binned}, 99, e);
    REQUIRE(p);
    rejected += *p <= 0.05 ? 1 : 0;
  }
  CHECK(rejected / static_cast<double>(kExperiments) == Approx(0.05).margin(Margin(0.04)));
}

TEST_CASE("Differences over sets resample models, which repeat on every set") {
  const std::vector<std::string> names = {"imagenet1k", "imagenet_robustness"};
  std::vector<PointTable> tables;
  for (const std::string& name : names) {
    tables.push_back(Published(true, name));
    tables.push_back(Published(false, name));
  }
  const Selection binned{.kind = SelectKind::kBinned, .bins = 5};
  const ClusteredDifference over = CompareOverSets(
      {{{&tables[0], {}}, {&tables[1], binned}}, {{&tables[2], {}}, {&tables[3], binned}}},
      0.95,
      200,
      1);
  CHECK(over.sets == 2);
  CHECK(over.first_steeper == 2);
  CHECK(over.clusters_first == 3);
  CHECK(over.clusters_second == 5);
  CHECK(over.mean == Approx(0.5 * (-0.1637746905 - 0.2378428545 + 0.1113884914 + 0.1255405199)));
  REQUIRE(over.low);
  CHECK(*over.low < over.mean);
}

TEST_CASE("A p-value is never printed as zero") {
  CHECK(PValueText(0.0382) == "p = 0.038");
  CHECK(PValueText(1e-9) == "p < 0.001");
}
