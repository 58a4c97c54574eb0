#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "fit/ceres_finish.h"
#include "fit/fit.h"
#include "fit/line.h"
#include "fit/problem.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

double PowerAt(double c) {
  return 3e4 * std::pow(c, -0.31);
}
double FloorAt(double c) {
  return 1.7 + 3e4 * std::pow(c, -0.5);
}

FitOptions With(const std::string& law) {
  FitOptions options;
  options.law = law;
  return options;
}

}  // namespace

TEST_CASE("FitPowerLaw recovers the exponent from noise-free points") {
  const FitReport fit = Fit(Simulate("C", LogSpaced(1e8, 1e12, 7), PowerAt), With("power"));
  CHECK(fit.At("alpha").value == Approx(-0.31).epsilon(1e-12));
  CHECK(fit.At("beta").value == Approx(3e4).epsilon(1e-10));
  CHECK(fit.stopped.find("converged") == 0);
}

TEST_CASE("A power law's t interval is that of the least-squares line") {
  const PointTable points = Simulate("C", LogSpaced(1e8, 1e12, 9), PowerAt, 0.05);
  const FitReport fit = Fit(points, With("power"));
  std::vector<double> x, y;
  for (std::size_t i = 0; i < points.size(); ++i) {
    x.push_back(std::log(points.columns[0][i]));
    y.push_back(std::log(points.y[i]));
  }
  const Line line = FitLine(x, y);
  constexpr double kT7 = 2.364624251592785;  // Student's 0.975 quantile at 7 degrees of freedom
  CHECK(fit.intervals.kind == IntervalKind::kStudent);
  CHECK(fit.At("alpha").value == Approx(line.slope).epsilon(1e-12));
  CHECK(*fit.At("alpha").low == Approx(line.slope - kT7 * line.slope_error).epsilon(1e-10));
  CHECK(*fit.At("alpha").high == Approx(line.slope + kT7 * line.slope_error).epsilon(1e-10));
}

TEST_CASE("A power law's profile interval equals its t interval") {
  const PointTable points = Simulate("C", LogSpaced(1e8, 1e12, 6), PowerAt, 0.05);
  FitOptions options = With("power");
  const FitReport student = Fit(points, options);
  options.intervals.kind = IntervalKind::kProfile;
  const FitReport profile = Fit(points, options);
  for (const char* name : {"alpha", "beta"}) {
    CHECK(*profile.At(name).low == Approx(*student.At(name).low).epsilon(1e-6));
    CHECK(*profile.At(name).high == Approx(*student.At(name).high).epsilon(1e-6));
  }
}

TEST_CASE("Weights count like repeated points") {
  PointTable repeated = Simulate("C", {1e8, 1e9, 1e9, 1e10, 1e11}, PowerAt, 0.1);
  repeated.y[2] = repeated.y[1];
  PointTable weighted = Simulate("C", {1e8, 1e9, 1e10, 1e11}, PowerAt);
  weighted.y = {repeated.y[0], repeated.y[1], repeated.y[3], repeated.y[4]};
  weighted.weights = {1, 2, 1, 1};
  const FitReport a = Fit(repeated, With("power"));
  const FitReport b = Fit(weighted, With("power"));
  CHECK(a.At("alpha").value == Approx(b.At("alpha").value).epsilon(1e-12));
  CHECK(a.objective == Approx(b.objective).epsilon(1e-10));
}

TEST_CASE("A power law with a floor is recovered from noise-free points") {
  const FitReport fit = Fit(Simulate("C", LogSpaced(1e6, 1e12, 10), FloorAt), With("power_floor"));
  CHECK(fit.At("e_inf").value == Approx(1.7).epsilon(1e-8));
  CHECK(fit.At("beta").value == Approx(3e4).epsilon(1e-7));
  CHECK(fit.At("alpha").value == Approx(-0.5).epsilon(1e-8));
}

TEST_CASE("Ceres and Newton's method stop at the same optimum") {
  const PointTable points = Simulate("C", LogSpaced(1e6, 1e12, 14), FloorAt, 0.03);
  for (const char* loss : {"squared", "huber:1e-2", "cauchy:0.02", "tukey:0.2"}) {
    CAPTURE(loss);
    FitOptions options = With("power_floor");
    options.loss = ParseLoss(loss);
    options.intervals.kind = IntervalKind::kNone;
    const FitReport fit = Fit(points, options);
    const Problem problem = MakeProblem(points, FindLaw("power_floor"), options);
    Objective objective = problem.MakeObjective();
    std::vector<double> nearby = fit.linearisation.inner;
    for (double& value : nearby) value += 1e-3;
    const Minimum ceres = FinishWithCeres(objective, nearby, problem.box);
    CHECK(ceres.objective == Approx(fit.objective).epsilon(1e-10));
    CHECK(ceres.objective >= fit.objective * (1 - 1e-12));
    for (std::size_t k = 0; k < nearby.size(); ++k) {
      CHECK(ceres.inner[k] == Approx(fit.linearisation.inner[k]).epsilon(1e-5));
    }
  }
}

TEST_CASE("A floor that is not there is reported as an active bound with no lower limit but zero") {
  const PointTable points = Simulate("C", LogSpaced(1e6, 1e12, 12), [](double c) {
    return 100 * std::pow(c, -0.2) *
           (1 + 0.02 * std::sin(3 * std::log(c)) - 0.002 * std::pow(std::log(c) - 20, 2));
  });
  const FitReport fit = Fit(points, With("power_floor"));
  REQUIRE(fit.active_bounds.size() == 1);
  CHECK(fit.active_bounds[0] == "e_inf = 0");
  CHECK(fit.At("e_inf").value == 0);
  CHECK(*fit.At("e_inf").low == 0);
  CHECK(*fit.At("e_inf").high > 0);
  CHECK(*fit.At("alpha").low < fit.At("alpha").value);
  CHECK(*fit.At("alpha").high > fit.At("alpha").value);
}

TEST_CASE("A fixed parameter is held, and the others fitted beside it") {
  const PointTable points = Simulate("C", LogSpaced(1e6, 1e12, 10), FloorAt, 0.01);
  FitOptions options = With("power_floor");
  options.fix = {{"e_inf", 0}};
  FitOptions power = With("power");
  const FitReport held = Fit(points, options);
  CHECK(held.At("e_inf").value == 0);
  CHECK(held.At("e_inf").fixed);
  CHECK(held.At("alpha").value == Approx(Fit(points, power).At("alpha").value).epsilon(1e-9));
}

TEST_CASE("Bounds in natural units are respected and reported when they are active") {
  const PointTable points = Simulate("C", LogSpaced(1e6, 1e12, 10), FloorAt, 0.01);
  FitOptions options = With("power_floor");
  options.bounds = {{"e_inf", {0.5, 1.2}}};
  const FitReport fit = Fit(points, options);
  CHECK(fit.At("e_inf").value == Approx(1.2));
  REQUIRE(fit.active_bounds.size() == 1);
  CHECK_THAT(fit.active_bounds[0], Catch::StartsWith("e_inf = 1.2"));
}

TEST_CASE("Rising observables are called no power law") {
  const FitReport fit = Fit(
      Simulate("C", {1e8, 1e9, 1e10}, [](double c) { return std::pow(c, 0.02); }), With("power"));
  REQUIRE(!fit.warnings.empty());
  CHECK_THAT(fit.warnings.back(), Catch::StartsWith("no power law"));
}

TEST_CASE("The least-absolute fit passes through as many points as it has parameters") {
  // Unevenly spaced: with even spacing whole stretches of lines are equally good.
  PointTable points =
      Simulate("C", {1e6, 3e6, 2e7, 5e7, 4e8, 1e9, 7e9, 3e10, 2e11, 9e11, 1e12}, PowerAt, 0.02);
  points.y[5] *= 4;  // an outlier it must not care about
  FitOptions options = With("power");
  options.loss = ParseLoss("lad");
  options.intervals.kind = IntervalKind::kNone;
  const FitReport fit = Fit(points, options);
  int touched = 0;
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double value =
        std::log(fit.At("beta").value) + fit.At("alpha").value * std::log(points.columns[0][i]);
    const double r = std::abs(value - std::log(points.y[i]));
    touched += r < 1e-9 ? 1 : 0;
    sum += r;
  }
  CHECK(touched == 2);
  CHECK(fit.objective == Approx(sum).epsilon(1e-9));
  CHECK(fit.At("alpha").value == Approx(-0.31).margin(0.01));
}
