// Every law of the registry: derivatives, and recovery of known parameters.
#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "fit/fit.h"
#include "fit/predict.h"
#include "fit/problem.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

using Parameters = std::map<std::string, double>;

// A design that varies every variable of the law on its own.
PointTable Design(const Law& law) {
  const std::map<std::string, std::vector<double>> levels = {
      {"C", LogSpaced(1e7, 1e13, 24)},
      {"x", LogSpaced(1e3, 1e9, 40)},
      {"N", LogSpaced(1e7, 1e10, 5)},
      {"D", LogSpaced(1e9, 1e12, 6)},
      {"B", {512, 2048, 8192, 32768, 131072}},
      {"U", {1e9, 2e10, 4e11}},
      {"T", {197, 101, 50, 37, 17}}};
  PointTable points{.variables = law.variables,
                    .observable = law.name == "inverse_tokens" ? "drop" : "L"};
  std::size_t n = 1;
  for (const std::string& v : law.variables) n *= levels.at(v).size();
  points.columns.resize(law.variables.size());
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t rest = i;
    for (std::size_t v = 0; v < law.variables.size(); ++v) {
      const auto& values = levels.at(law.variables[v]);
      points.columns[v].push_back(values[rest % values.size()]);
      rest /= values.size();
    }
  }
  points.y.assign(n, 1);
  return points;
}

std::vector<double> Inner(const Law& law, const Parameters& natural) {
  std::vector<double> inner;
  for (const Parameter& p : law.parameters) inner.push_back(ToInner(p, natural.at(p.name)));
  return inner;
}

// The law's values at known parameters, with noise.
PointTable PointsOf(const Law& law, const Parameters& natural, double noise = 0) {
  PointTable points = Design(law);
  const auto bound = law.bind(points, law.constants);
  Evaluation evaluation;
  bound->Evaluate(Inner(law, natural), Residual::kLinear, false, evaluation);
  Random random(5);
  for (std::size_t i = 0; i < points.size(); ++i) {
    points.y[i] = evaluation.value[i] * (noise > 0 ? std::exp(noise * random.Normal()) : 1);
  }
  return points;
}

// Parameters of published size for each law.
const std::map<std::string, Parameters> kTruth = {
    {"power", {{"beta", 30}, {"alpha", -0.12}}},
    {"power_floor", {{"e_inf", 0.15}, {"beta", 30}, {"alpha", -0.18}}},
    {"power_offset", {{"a", 2e3}, {"b", 1e9}, {"c", -0.35}, {"d", 0.09}}},
    {"chinchilla", {{"E", 1.69}, {"A", 406.4}, {"B", 410.7}, {"alpha", 0.34}, {"beta", 0.28}}},
    {"kaplan", {{"Nc", 6.4e13}, {"Dc", 1.8e13}, {"alphaN", 0.076}, {"alphaD", 0.103}}},
    {"data_constrained",
     {{"E", 1.87},
      {"A", 521},
      {"B", 1488},
      {"alpha", 0.353},
      {"beta", 0.353},
      {"r_star", 15.4},
      {"rn_star", 5.3}}},
    {"joint_batch",
     {{"e_inf", 10},
      {"a", 3e3},
      {"b", 5e4},
      {"c", 400},
      {"d", 2e4},
      {"alpha", 0.35},
      {"beta", 0.42},
      {"gamma", 0.6},
      {"sigma", 0.9}}},
    {"inverse_tokens", {{"k", 0.481}, {"a", 0.632}, {"b", 1.039}}},
    {"bnsl1", {{"a", 0.2}, {"b", 5}, {"c0", 0.05}, {"c1", 0.3}, {"d1", 2e6}, {"f1", 0.5}}},
    {"bnsl2",
     {{"a", 0.02},
      {"b", 5},
      {"c0", 0.02},
      {"c1", 0.3},
      {"d1", 1e5},
      {"f1", 0.3},
      {"c2", -0.25},
      {"d2", 2e7},
      {"f2", 0.3}}},
    {"bnsl3",
     {{"a", 0.02},
      {"b", 5},
      {"c0", 0.02},
      {"c1", 0.3},
      {"d1", 3e4},
      {"f1", 0.2},
      {"c2", -0.25},
      {"d2", 1e6},
      {"f2", 0.2},
      {"c3", 0.35},
      {"d3", 4e7},
      {"f3", 0.2}}},
    {"m4", {{"e_inf", 0.1}, {"e_0", 0.9}, {"alpha", 0.7}, {"beta", 60}, {"c", -0.35}}},
    {"sigmoid", {{"e_inf", 0.12}, {"e_0", 0.95}, {"c_half", 3e9}, {"s", 0.5}}},
};

}  // namespace

TEST_CASE("Every law is in the table of truths") {
  for (const Law& law : Laws()) CHECK(kTruth.contains(law.name));
}

TEST_CASE("Jacobian and curvature of every law agree with differences of its values") {
  for (const Law& law : Laws()) {
    const PointTable points = Design(law);
    const auto bound = law.bind(points, law.constants);
    const std::vector<double> at = Inner(law, kTruth.at(law.name));
    const std::size_t n = points.size();
    const std::size_t p = at.size();
    for (const Residual space : {Residual::kLinear, Residual::kLog}) {
      CAPTURE(law.name, ToString(space));
      if (law.name == "inverse_tokens" && space == Residual::kLog)
        continue;  // a drop of zero has no logarithm
      Evaluation here, up, down;
      bound->Evaluate(at, space, true, here);
      Random random(3);
      std::vector<double> factors;
      for (std::size_t i = 0; i < n; ++i) factors.push_back(random.Uniform() - 0.3);
      std::vector<double> curvature(p * p);
      bound->AddCurvature(at, space, here, factors, curvature.data());
      for (std::size_t k = 0; k < p; ++k) {
        const double h = 1e-5 * std::max(1.0, std::abs(at[k]));
        std::vector<double> moved = at;
        moved[k] += h;
        bound->Evaluate(moved, space, true, up);
        moved[k] -= 2 * h;
        bound->Evaluate(moved, space, true, down);
        double worst = 0;
        double scale = 1e-12;
        for (std::size_t i = 0; i < n; ++i) {
          worst = std::max(
              worst, std::abs((up.value[i] - down.value[i]) / (2 * h) - here.jacobian[k * n + i]));
          scale = std::max(scale, std::abs(here.jacobian[k * n + i]));
        }
        CAPTURE(law.parameters[k].name);
        CHECK(worst < 1e-6 * scale + 1e-8);
        for (std::size_t j = 0; j <= k; ++j) {
          double difference = 0;
          double size = 1e-9;
          for (std::size_t i = 0; i < n; ++i) {
            const double second = (up.jacobian[j * n + i] - down.jacobian[j * n + i]) / (2 * h);
            difference += factors[i] * second;
            size += std::abs(factors[i] * second);
          }
          CHECK(std::abs(difference - curvature[k * p + j]) < 1e-5 * size + 1e-6);
        }
      }
    }
  }
}

TEST_CASE("Every law is recovered from its own noise-free values") {
  for (const Law& law : Laws()) {
    CAPTURE(law.name);
    FitOptions options;
    options.law = law.name;
    options.intervals.kind = IntervalKind::kNone;
    const Parameters& truth = kTruth.at(law.name);
    const FitReport fit = Fit(PointsOf(law, truth), options);
    CHECK(fit.objective < 1e-18);
    for (const Estimate& estimate : fit.estimates) {
      CAPTURE(estimate.name);
      CHECK(estimate.value == Approx(truth.at(estimate.name)).epsilon(1e-5));
    }
  }
}

TEST_CASE("No start of another seed finds a better optimum of a noisy law") {
  for (const Law& law : Laws()) {
    CAPTURE(law.name);
    FitOptions options;
    options.law = law.name;
    options.intervals.kind = IntervalKind::kNone;
    const PointTable points = PointsOf(law, kTruth.at(law.name), 0.02);
    const FitReport fit = Fit(points, options);
    options.seed = 77;
    options.starts = 3 * std::max<std::size_t>(fit.starts, 40);
    const FitReport again = Fit(points, options);
    CHECK(fit.objective == Approx(again.objective).epsilon(1e-8));
  }
}

TEST_CASE("Many points are searched by a sample and finished on all of them") {
  const PointTable points = Simulate(
      "C", LogSpaced(1, 1e6, 50000), [](double c) { return 0.2 + 2 * std::pow(c, -0.3); }, 0.05);
  FitOptions options;
  options.law = "power_floor";
  options.intervals.kind = IntervalKind::kNone;
  const FitReport sampled = Fit(points, options);
  options.race = false;
  options.starts = 3;
  const FitReport every = Fit(points, options);
  CHECK(sampled.n == 50000);
  CHECK(sampled.objective == Approx(every.objective).epsilon(1e-12));
  for (const char* name : {"e_inf", "beta", "alpha"}) {
    CAPTURE(name);
    CHECK(sampled.At(name).value == Approx(every.At(name).value).epsilon(1e-7));
  }
}
