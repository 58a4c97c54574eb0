#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sweep {

/// A small generator whose numbers are the same on every machine (SplitMix64; Steele, Lea and Flood
/// 2014). A stream is chosen by (seed, stream), so resample k draws the same numbers whichever
/// thread makes it.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0);
  [[nodiscard]] std::uint64_t Bits();
  [[nodiscard]] double Uniform();                     ///< in [0, 1)
  [[nodiscard]] std::size_t Index(std::size_t size);  ///< in 0 … size-1
  [[nodiscard]] double Normal();                      ///< mean 0, variance 1

 private:
  std::uint64_t state_;
};

/// Point k of a low-discrepancy sequence in the unit cube of `dimensions`: fractions of k times the
/// powers of the generalised golden ratio (Roberts 2018), shifted by `seed`.
[[nodiscard]] std::vector<double> LowDiscrepancyPoint(std::size_t k,
                                                      std::size_t dimensions,
                                                      std::uint64_t seed);

}  // namespace sweep
