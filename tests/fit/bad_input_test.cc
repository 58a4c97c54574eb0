#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "core/failure.h"
#include "fit/fit.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

PointTable Good() {
  PointTable points =
      Simulate("C", LogSpaced(1e8, 1e12, 5), [](double c) { return 20 * std::pow(c, -0.2); });
  points.observable = "E";
  points.labels = {"row 2", "row 3", "row 4", "row 5", "row 6"};
  return points;
}

// The message of the failure that fitting `points` ends with.
std::string FailureOf(const PointTable& points,
                      const FitOptions& options = {},
                      FailureCode code = FailureCode::kData) {
  try {
    (void)Fit(points, options);
  } catch (const Failure& failure) {
    CHECK(failure.code() == code);
    return failure.what();
  }
  return "no failure";
}

}  // namespace

TEST_CASE("Unusable observables are refused with the rows that hold them") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -0.5, nan, infinity}) {
    PointTable points = Good();
    points.y[3] = bad;
    CAPTURE(bad);
    CHECK_THAT(FailureOf(points), Catch::Contains("row 5") && !Catch::Contains("row 4"));
    points = Good();
    points.columns[0][1] = bad;
    CHECK_THAT(FailureOf(points),
               Catch::Contains("row 3") && Catch::Contains("C must be a positive number"));
  }
}

TEST_CASE("Errors given as percentages are refused with the mapping that mends it") {
  PointTable points = Good();
  for (double& value : points.y) value *= 100;
  CHECK_THAT(FailureOf(points), Catch::Contains("E='err/100'") && Catch::Contains("row 2"));
}

TEST_CASE("All points at one compute are refused") {
  PointTable points = Good();
  for (double& value : points.columns[0]) value = 7e9;
  CHECK_THAT(FailureOf(points),
             Catch::Contains("C = 7000000000") && Catch::Contains("at least two"));
}

TEST_CASE("Fewer points than parameters are refused, naming the points and the law") {
  PointTable points = Good();
  const std::vector<std::size_t> first = {0};
  CHECK_THAT(FailureOf(points.Subset(first)),
             Catch::Contains("row 2") && Catch::Contains("2 parameters of law power"));
  CHECK_THAT(FailureOf(points.Subset({})), Catch::Contains("no points"));
}

TEST_CASE("As many points as parameters give estimates without intervals and a warning") {
  const std::vector<std::size_t> two = {0, 4};
  const FitReport fit = Fit(Good().Subset(two), {});
  CHECK(fit.At("alpha").value == Approx(-0.2));
  CHECK(!fit.At("alpha").low);
  CHECK_THAT(fit.warnings.back(), Catch::Contains("as many points as parameters"));
}

TEST_CASE("Duplicate points count but are named") {
  PointTable points = Good();
  points.columns[0][2] = points.columns[0][1];
  points.y[2] = points.y[1];
  const FitReport fit = Fit(points, {});
  REQUIRE(!fit.warnings.empty());
  CHECK_THAT(fit.warnings[0], Catch::Contains("row 3 = row 4"));
}

TEST_CASE("Options that name nothing of the law are refused") {
  FitOptions options;
  options.fix = {{"gamma", 1}};
  CHECK_THAT(FailureOf(Good(), options, FailureCode::kUsage),
             Catch::Contains("no parameter gamma") && Catch::Contains("beta, alpha"));
  options = {};
  options.law = "powr";
  CHECK_THAT(FailureOf(Good(), options, FailureCode::kUsage),
             Catch::Contains("did you mean power?"));
  options = {};
  options.constants = {{"T0", 197}};
  CHECK_THAT(FailureOf(Good(), options, FailureCode::kUsage), Catch::Contains("no constant T0"));
}

TEST_CASE("A million points are fitted") {
  const PointTable points = Simulate(
      "C", LogSpaced(1e3, 1e12, 1000000), [](double c) { return 50 * std::pow(c, -0.2); }, 0.1);
  const FitReport fit = Fit(points, {});
  CHECK(fit.At("alpha").value == Approx(-0.2).margin(1e-4));
  CHECK(fit.n == 1000000);
}

TEST_CASE("Options are read in the words of the command line") {
  CHECK(ParseLoss("huber:1e-3").scale == 1e-3);
  CHECK(ToString(ParseLoss("huber:1e-3")) == "huber:0.001");
  CHECK(ParseSelection("binned:7").bins == 7);
  CHECK(ParseIntervals("bootstrap:250:residual").resamples == 250);
  for (const char* bad : {"huber", "huber:-1", "squared:2", "mean", "huber:1x"})
    CHECK_THROWS_AS(ParseLoss(bad), Failure);
  for (const char* bad : {"binned", "binned:0", "some", "quantile:2"})
    CHECK_THROWS_AS(ParseSelection(bad), Failure);
  for (const char* bad : {"bootstrap:x", "bootstrap:10:odd", "z"})
    CHECK_THROWS_AS(ParseIntervals(bad), Failure);
}

TEST_CASE("Bounds that leave a positive parameter nothing are refused") {
  FitOptions options;
  options.bounds = {{"beta", {-1, 0}}};
  CHECK_THAT(FailureOf(Good(), options, FailureCode::kUsage), Catch::Contains("zero excluded"));
}

TEST_CASE("A parameter at its bound has no symmetric interval, and by default a profile") {
  FitOptions options;
  options.bounds = {{"alpha", {-0.1, 0}}};  // the points fall with -0.2
  const PointTable points =
      Simulate("C", LogSpaced(1e8, 1e12, 8), [](double c) { return 20 * std::pow(c, -0.2); }, 0.01);
  const FitReport fit = Fit(points, options);
  CHECK(fit.active_bounds == std::vector<std::string>{"alpha = -0.1"});
  CHECK(fit.intervals.kind == IntervalKind::kProfile);
  REQUIRE(fit.At("alpha").low);
  CHECK(*fit.At("alpha").low == -0.1);
  CHECK(*fit.At("alpha").high > -0.1);
  options.intervals = ParseIntervals("t");
  CHECK(!Fit(points, options).At("alpha").low);
  CHECK(!Fit(points, options).At("alpha").high);
}

TEST_CASE("A floor that three points put at zero is found there") {
  FitOptions options;
  options.law = "power_floor";
  const FitReport fit =
      Fit({.variables = {"C"}, .columns = {{1, 2, 3}}, .observable = "L", .y = {0.5, 0.4, 0.35}},
          options);
  CHECK(fit.active_bounds == std::vector<std::string>{"e_inf = 0"});
}

TEST_CASE("Resamples too few for percentiles give no limits and a word on why") {
  FitOptions options;
  options.intervals = ParseIntervals("bootstrap:10");
  const FitReport fit = Fit(Good(), options);
  CHECK(!fit.At("alpha").low);
  bool told = false;
  for (const std::string& warning : fit.warnings)
    told = told || warning.find("resamples are too few") != std::string::npos;
  CHECK(told);
}
