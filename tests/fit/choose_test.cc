#include "fit/choose.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "fit/predict.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

PointTable Curve(double floor, double noise, std::uint64_t seed, std::size_t n = 24) {
  return Simulate(
      "C",
      LogSpaced(1e6, 1e12, n),
      [=](double c) { return floor + 40 * std::pow(c, -0.25); },
      noise,
      seed);
}

}  // namespace

TEST_CASE("LawsFor gives the laws of exactly these variables") {
  const std::vector<std::string> names = LawsFor({"N", "D"});
  CHECK(names == std::vector<std::string>{"chinchilla", "kaplan"});
  CHECK(LawsFor({"C"}).size() == 8);
}

TEST_CASE("ChooseLaw prefers a floor where there is one, and none where there is none") {
  FitOptions options;
  const std::vector<std::string> two = {"power", "power_floor"};
  const LawChoice with = ChooseLaw(Curve(0.3, 0.01, 4), options, two);
  CHECK(with.chosen == "power_floor");
  CHECK_THAT(with.reason, Catch::Contains("extrapolates best"));
  REQUIRE(with.scores.size() == 2);
  CHECK(*with.scores[0].rolling_origin < *with.scores[1].rolling_origin);
  CHECK(with.scores[0].aicc < with.scores[1].aicc);
  const LawChoice without = ChooseLaw(Curve(0, 0.02, 5), options, two);
  CHECK(without.chosen == "power");
}

TEST_CASE("AICc is the textbook's") {
  const PointTable points = Curve(0, 0.02, 5, 10);
  FitOptions options;
  const LawChoice choice = ChooseLaw(points, options, {"power"});
  const double squares = 2 * Fit(points, options).objective;
  CHECK(choice.scores[0].aicc ==
        Approx(10 * std::log(squares / 10) + 2 * 3 + 2.0 * 3 * 4 / (10 - 3 - 1)));
}

TEST_CASE("--law auto reports the choice with its table and warns about the intervals") {
  FitOptions options;
  options.law = "auto";
  const FitReport fit = Fit(Curve(0.3, 0.01, 4), options);
  CHECK(fit.law_choice.at("chosen") == fit.law);
  CHECK(fit.law_choice.at("scores").size() == 8);
  CHECK_THAT(fit.warnings.back(), Catch::Contains("do not include the choice"));
  const double far = Predict(fit, {{"C", 1e13}}).value;
  CHECK(far == Approx(0.3 + 40 * std::pow(1e13, -0.25)).epsilon(0.05));
}

TEST_CASE("Few points are chosen for by AICc, and too few refused") {
  FitOptions options;
  const LawChoice choice = ChooseLaw(Curve(0, 0.02, 5, 5), options, {"power", "power_floor"});
  CHECK_THAT(choice.reason, Catch::Contains("AICc"));
  CHECK(choice.chosen == "power");
  CHECK_THROWS_AS(ChooseLaw(Curve(0, 0.02, 5, 1), options), Failure);
}
