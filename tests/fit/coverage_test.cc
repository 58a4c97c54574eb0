// Do nominal 95 % intervals of the exponent hold the truth in 95 of 100 experiments?
// docs/fitting.md has the larger simulation (SWEEP_COVERAGE=2000 prints it); here each method is
// held to its band with 400 experiments (standard error 1.1 points).
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "fit/average.h"
#include "fit/fit.h"
#include "fit/predict.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

struct Truth {
  const char* name;
  const char* law;
  double floor, scale, alpha;
};

// Gaussian log noise of 2 %, two decades of compute.
PointTable Experiment(const Truth& truth, std::size_t n, std::uint64_t seed) {
  return Simulate(
      "C",
      LogSpaced(1, 100, n),
      [&](double c) { return truth.floor + truth.scale * std::pow(c, truth.alpha); },
      0.02,
      seed);
}

// Share of experiments whose interval holds the true exponent; a missing limit bounds nothing and
// so holds everything on its side.
double Coverage(const Truth& truth, std::size_t n, const char* intervals, int experiments) {
  int held = 0;
  for (int e = 0; e < experiments; ++e) {
    FitOptions options;
    options.law = truth.law;
    options.intervals = ParseIntervals(intervals);
    options.seed = static_cast<std::uint64_t>(e);
    const FitReport fit = Fit(Experiment(truth, n, 1000 + static_cast<std::uint64_t>(e)), options);
    const Estimate& alpha = fit.At("alpha");
    held += (!alpha.low || *alpha.low <= truth.alpha) && (!alpha.high || truth.alpha <= *alpha.high)
                ? 1
                : 0;
  }
  return held / static_cast<double>(experiments);
}

// The same for the law's value at `target`.
double CoverageAt(
    double target, const Truth& truth, std::size_t n, const char* intervals, int experiments) {
  const double value = truth.floor + truth.scale * std::pow(target, truth.alpha);
  int held = 0;
  for (int e = 0; e < experiments; ++e) {
    FitOptions options;
    options.law = truth.law;
    options.intervals = ParseIntervals(intervals);
    options.targets = {{{"C", target}}};
    const FitReport fit = Fit(Experiment(truth, n, 5000 + static_cast<std::uint64_t>(e)), options);
    const Prediction there = Predict(fit, options.targets.front());
    held += (!there.mean_low || *there.mean_low <= value) &&
                    (!there.mean_high || value <= *there.mean_high)
                ? 1
                : 0;
  }
  return held / static_cast<double>(experiments);
}

// The same for the average over laws.
double CoverageOfAverage(
    double target, const Truth& truth, std::size_t n, const char* intervals, int experiments) {
  const double value = truth.floor + truth.scale * std::pow(target, truth.alpha);
  int held = 0;
  for (int e = 0; e < experiments; ++e) {
    FitOptions options;
    options.intervals = ParseIntervals(intervals);
    const PointTable points = Experiment(truth, n, 5000 + static_cast<std::uint64_t>(e));
    const AveragedPrediction there = PredictOverLaws(points, options, {{"C", target}});
    held += (!there.mean_low || *there.mean_low <= value) &&
                    (!there.mean_high || value <= *there.mean_high)
                ? 1
                : 0;
  }
  return held / static_cast<double>(experiments);
}

const Truth kPure = {"pure power law", "power", 0, 1, -0.3};
const Truth kClearFloor = {"floor .5, slope .5", "power_floor", 0.5, 1, -0.5};
const Truth kHardFloor = {"floor 1, slope .3", "power_floor", 1, 0.3, -0.3};
const Truth kNoFloor = {"no floor", "power_floor", 0, 1, -0.3};
const Truth kSmallFloor = {"floor .05, slope .2", "power_floor", 0.05, 1, -0.2};

}  // namespace

TEST_CASE("t intervals of a pure power law cover at their level") {
  for (const std::size_t n : {5U, 10U, 30U}) {
    CAPTURE(n);
    CHECK(std::abs(Coverage(kPure, n, "t", Experiments(400)) - 0.95) < Margin(0.035));
  }
}

TEST_CASE("Profile intervals cover at their level, with a clear floor, a hard one and none") {
  for (const Truth& truth : {kClearFloor, kHardFloor, kNoFloor}) {
    for (const std::size_t n : {5U, 10U, 30U}) {
      CAPTURE(truth.name, n);
      CHECK(Coverage(truth, n, "profile", Experiments(400)) == Approx(0.95).margin(Margin(0.035)));
    }
  }
}

// A thousand times beyond the data a floor that the data cannot see decides.
TEST_CASE("Predictions far beyond the data cover at their level by profile, not linearised") {
  for (const Truth& truth : {kSmallFloor, kHardFloor}) {
    CAPTURE(truth.name);
    CHECK(CoverageAt(1e5, truth, 10, "profile", Experiments(200)) ==
          Approx(0.95).margin(Margin(0.05)));
  }
  CHECK(CoverageAt(1e5, kSmallFloor, 10, "delta", Experiments(200)) <
        (kShortSimulations ? 1.01 : 0.8));
}

// A power law's weight is high there, and its interval never holds the truth.
TEST_CASE("Averages far beyond the data cover at their level by profile, not linearised") {
  CHECK(CoverageOfAverage(1e5, kSmallFloor, 10, "auto", Experiments(100)) ==
        Approx(0.95).margin(Margin(0.05)));
  CHECK(CoverageOfAverage(1e5, kSmallFloor, 10, "delta", Experiments(40)) <
        (kShortSimulations ? 1.01 : 0.8));
}

TEST_CASE("Coverage of predictions for the documentation", "[.]") {
  const char* const asked = std::getenv("SWEEP_COVERAGE");
  const int experiments = asked ? std::atoi(asked) : 100;
  for (const Truth& truth : {kClearFloor, kHardFloor, kSmallFloor, kNoFloor}) {
    for (const char* method : {"profile", "delta", "bootstrap:400"}) {
      std::printf("%-20s %-14s", truth.name, method);
      for (const double target : {1e3, 1e5}) {
        for (const std::size_t n : {5U, 10U, 30U, 100U})
          std::printf(" %.3f", CoverageAt(target, truth, n, method, experiments));
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

TEST_CASE("Coverage of averaged predictions for the documentation", "[.]") {
  const char* const asked = std::getenv("SWEEP_COVERAGE");
  const int experiments = asked ? std::atoi(asked) : 100;
  for (const Truth& truth : {kSmallFloor, kHardFloor, kClearFloor, kNoFloor}) {
    for (const char* method : {"auto", "delta"}) {
      std::printf("%-20s %-14s", truth.name, method);
      for (const double target : {1e3, 1e5}) {
        for (const std::size_t n : {10U, 30U})
          std::printf(" %.3f", CoverageOfAverage(target, truth, n, method, experiments));
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

TEST_CASE("The bootstrap of few points covers less than it says, as the report warns") {
  CHECK(Coverage(kPure, 5, "bootstrap:400", Experiments(300)) < (kShortSimulations ? 1.01 : 0.93));
  FitOptions options;
  options.intervals = ParseIntervals("bootstrap:100");
  const FitReport fit = Fit(Experiment(kPure, 5, 1), options);
  REQUIRE(!fit.warnings.empty());
  CHECK_THAT(fit.warnings.front(), Catch::Contains("too short"));
}

TEST_CASE("Coverage table for the documentation", "[.]") {
  const char* const asked = std::getenv("SWEEP_COVERAGE");
  const int experiments = asked ? std::atoi(asked) : 100;
  for (const Truth& truth : {kPure, kClearFloor, kHardFloor, kNoFloor}) {
    for (const char* method :
         {"delta", "profile", "bootstrap:400", "bootstrap:400:residual", "bootstrap:400:bca"}) {
      std::printf("%-20s %-24s", truth.name, method);
      for (const std::size_t n : {5U, 10U, 30U, 100U})
        std::printf(" %.3f", Coverage(truth, n, method, experiments));
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}
