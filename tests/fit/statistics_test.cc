#include "fit/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "fit/vector_math.h"

using namespace sweep;

// Reference values: scipy 1.17 (scipy.stats.t, f, norm; scipy.special.betainc).
TEST_CASE("StudentQuantile agrees with tables, also for few and broken degrees of freedom") {
  CHECK(StudentQuantile(0.975, 1) == Approx(12.706204736174707).epsilon(1e-12));
  CHECK(StudentQuantile(0.975, 3) == Approx(3.182446305283710).epsilon(1e-12));
  CHECK(StudentQuantile(0.975, 3.99) == Approx(2.779191557030763).epsilon(1e-12));
  CHECK(StudentQuantile(0.025, 10) == Approx(-2.228138851986274).epsilon(1e-12));
}

TEST_CASE("SampleQuantile is numpy's: linear between neighbours") {
  const std::vector<double> values = {1, 2, 4, 8};
  CHECK(SampleQuantile(values, 0) == 1);
  CHECK(SampleQuantile(values, 1) == 8);
  CHECK(SampleQuantile(values, 0.5) == Approx(3));
  CHECK(SampleQuantile(values, 0.9) == Approx(6.8));
  CHECK(SampleQuantile({5}, 0.3) == 5);
}

TEST_CASE("StudentTwoSided is the tail probability on both sides") {
  CHECK(StudentTwoSided(2, 5) == Approx(0.10193947882985835).epsilon(1e-12));
  CHECK(StudentTwoSided(-2, 5) == StudentTwoSided(2, 5));
  CHECK(StudentCdf(0, 7) == Approx(0.5));
}

TEST_CASE("FisherQuantile with one numerator degree is the square of Student's") {
  const double t = StudentQuantile(0.975, 7);
  CHECK(FisherQuantile(0.95, 1, 7) == Approx(t * t).epsilon(1e-12));
  CHECK(FisherQuantile(0.95, 3, 10) == Approx(3.708264819023).epsilon(1e-10));
}

TEST_CASE("NormalQuantile inverts NormalCdf, far out as well") {
  CHECK(NormalQuantile(0.975) == Approx(1.959963984540054).epsilon(1e-13));
  CHECK(NormalQuantile(1e-10) == Approx(-6.361340902404056).epsilon(1e-12));
  CHECK(NormalCdf(NormalQuantile(0.3)) == Approx(0.3).epsilon(1e-14));
}

TEST_CASE("IncompleteBeta agrees with its closed forms") {
  CHECK(IncompleteBeta(1, 1, 0.3) == Approx(0.3).epsilon(1e-14));
  CHECK(IncompleteBeta(2, 3, 0.4) == Approx(0.5248).epsilon(1e-13));
  CHECK(IncompleteBeta(0.5, 0.5, 0.5) == Approx(0.5).epsilon(1e-13));
  CHECK(IncompleteBeta(3, 2, 1) == 1);
}

TEST_CASE("Logarithms of many numbers are std::log's, and infinity stays infinite") {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> numbers = {1e-300, 0.5, 1, 3, 1e300, 1.7e308};
  std::vector<double> values = numbers;
  values.push_back(infinity);
  values.push_back(std::numeric_limits<double>::quiet_NaN());
  LogInPlace(values.data(), values.size());
  for (size_t i = 0; i < numbers.size(); ++i)
    CHECK(values[i] == Approx(std::log(numbers[i])).epsilon(1e-15));
  CHECK(values[numbers.size()] == infinity);
  CHECK(std::isnan(values.back()));
}
