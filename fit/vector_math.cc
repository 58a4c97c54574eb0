#include "fit/vector_math.h"

#include <bit>
#include <cstdint>
#include <limits>

// Instrumented programs cannot choose a clone: the chooser would run before the sanitizer's own
// start.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SWEEP_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SWEEP_CLONES
#endif

namespace sweep {
namespace {

// ln 2 in two parts: the first has trailing zeros, so that k times it is exact for every exponent
// k.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kInverseLn2 = 1.44269504088896338700;
constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number

constexpr std::size_t kLanes = 8;

inline double Exp(double x) {
  x = x < -708.0 ? -708.0 : x;
  x = x > 709.0 ? 709.0 : x;
  const double shifted = x * kInverseLn2 + kRounder;
  const double k = shifted - kRounder;
  const double r = (x - k * kLn2High) - k * kLn2Low;
  // Taylor's series on |r| <= ln(2)/2: the first term left out is below 2e-17.
  double p = 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r * r + r + 1.0;
  const std::int64_t exponent =
      std::bit_cast<std::int64_t>(shifted) - std::bit_cast<std::int64_t>(kRounder);
  return p * std::bit_cast<double>((exponent + 1023) << 52);
}

inline double Log(double x) {
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1) / (m + 1).
  constexpr std::int64_t kRootHalf = 0x3FE6A09E667F3BCD;
  constexpr std::int64_t kMantissa = 0x000FFFFFFFFFFFFF;
  const auto bits = std::bit_cast<std::int64_t>(x);
  const std::int64_t above = bits - kRootHalf;
  // The exponent as a double without a 64-bit conversion, which older instruction sets lack.
  // Unsigned: the largest numbers' sums, and infinity's, have the top bit.
  const std::uint64_t biased = (static_cast<std::uint64_t>(above) + (1024ULL << 52)) >> 52;
  const double k =
      std::bit_cast<double>(biased | std::bit_cast<std::uint64_t>(4503599627370496.0)) -
      (4503599627370496.0 + 1024);
  const double m = std::bit_cast<double>((above & kMantissa) + kRootHalf);
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double p = 2.0 / 23;
  p = p * z + 2.0 / 21;
  p = p * z + 2.0 / 19;
  p = p * z + 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  // ln m = f - s (f - z p) with f = m - 1: the leading part of the sum is exact.
  const double f = m - 1;
  const double tail = s * (f - z * p);
  const double result = k * kLn2High + ((k * kLn2Low - tail) + f);
  return x <= std::numeric_limits<double>::max() ? result : x;
}

}  // namespace

SWEEP_CLONES void ExpInPlace(double* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) values[i] = Exp(values[i]);
}

SWEEP_CLONES void LogInPlace(double* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) values[i] = Log(values[i]);
}

SWEEP_CLONES double Dot(const double* a, const double* b, std::size_t n) {
  double partial[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) partial[j] += a[i + j] * b[i + j];
  }
  double sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const double part : partial) sum += part;
  return sum;
}

SWEEP_CLONES double Dot3(const double* w, const double* a, const double* b, std::size_t n) {
  double partial[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) partial[j] += w[i + j] * a[i + j] * b[i + j];
  }
  double sum = 0;
  for (; i < n; ++i) sum += w[i] * a[i] * b[i];
  for (const double part : partial) sum += part;
  return sum;
}

}  // namespace sweep
