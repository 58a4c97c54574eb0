#pragma once

#include <cstdint>

namespace sweep {

/// One round of SplitMix64's output function (Steele, Lea and Flood 2014): a bijection of 64-bit
/// integers in which every input bit reaches every output bit.
[[nodiscard]] constexpr uint64_t MixBits(uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}

/// SplitMix64 started at a key, such as (seed, purpose, index): every key has its own stream, so
/// nothing needs to be stored to draw the same numbers again, in any order, on any machine.
class Random {
 public:
  template <class... Keys>
  explicit constexpr Random(Keys... keys) {
    ((state_ = MixBits(state_ ^ static_cast<uint64_t>(keys))), ...);
  }

  constexpr uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15U;
    return MixBits(state_);
  }
  /// Uniform in [0, bound); bound < 2^32. The bias is below bound / 2^32.
  constexpr int64_t Below(int64_t bound) {
    return static_cast<int64_t>(((Next() >> 32U) * static_cast<uint64_t>(bound)) >> 32U);
  }
  /// Uniform in [0, 1), 53 bits.
  constexpr double Unit() { return static_cast<double>(Next() >> 11U) * 0x1p-53; }

 private:
  uint64_t state_ = 0;
};

/// Where `index` goes in the keyed shuffle of [0, size): a bijection computed on the spot (four
/// Feistel rounds on the next even number of bits, walked until it falls inside), so that an
/// epoch's order over any number of pairs takes no memory and can be entered anywhere.
[[nodiscard]] int64_t ShuffledIndex(int64_t index, int64_t size, uint64_t key);

}  // namespace sweep
