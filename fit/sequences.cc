#include "fit/sequences.h"

#include <cmath>
#include <numbers>

namespace sweep {
namespace {

std::uint64_t Mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// The root above 1 of x^(d+1) = x + 1: the golden ratio for d = 1.
double GoldenRatio(std::size_t dimensions) {
  double x = 2;
  for (int i = 0; i < 64; ++i) x = std::pow(1 + x, 1.0 / static_cast<double>(dimensions + 1));
  return x;
}

}  // namespace

Random::Random(std::uint64_t seed, std::uint64_t stream)
    : state_(Mix(seed ^ Mix(stream + 0x9E3779B97F4A7C15U))) {}

std::uint64_t Random::Bits() {
  state_ += 0x9E3779B97F4A7C15U;
  return Mix(state_);
}

double Random::Uniform() {
  return static_cast<double>(Bits() >> 11) * 0x1.0p-53;
}

std::size_t Random::Index(std::size_t size) {
  return static_cast<std::size_t>(Uniform() * static_cast<double>(size));
}

double Random::Normal() {
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return radius * std::cos(2 * std::numbers::pi * Uniform());
}

std::vector<double> LowDiscrepancyPoint(std::size_t k, std::size_t dimensions, std::uint64_t seed) {
  const double ratio = GoldenRatio(dimensions);
  Random shift(seed);
  std::vector<double> point;
  double step = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    step /= ratio;
    const double offset = seed == 0 ? 0.5 : shift.Uniform();
    const double value = offset + step * static_cast<double>(k + 1);
    point.push_back(value - std::floor(value));
  }
  return point;
}

}  // namespace sweep
