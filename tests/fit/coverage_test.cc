// Do nominal 95 % intervals of the exponent hold the truth in 95 of 100 experiments?
// docs/fitting.md has the larger simulation (SWEEP_COVERAGE=2000 prints it); here each method is
// held to its band with 400 experiments (standard error 1.1 points).
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "fit/fit.h"
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

const Truth kPure = {"pure power law", "power", 0, 1, -0.3};
const Truth kClearFloor = {"floor .5, slope .5", "power_floor", 0.5, 1, -0.5};
const Truth kHardFloor = {"floor 1, slope .3", "power_floor", 1, 0.3, -0.3};
const Truth kNoFloor = {"no floor", "power_floor", 0, 1, -0.3};

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
