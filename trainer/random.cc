#include "trainer/random.h"

#include <bit>

namespace sweep {
namespace {
constexpr uint64_t kRounds = 4;
}

int64_t ShuffledIndex(int64_t index, int64_t size, uint64_t key) {
  const auto count = static_cast<uint64_t>(size);
  const auto half_bits = static_cast<unsigned>((std::bit_width(count - 1) + 1) / 2);
  if (half_bits == 0) return 0;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  auto value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half_bits;
    uint64_t right = value & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (MixBits(right ^ MixBits(key + round)) & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits) | right;
  } while (value >= count);
  return static_cast<int64_t>(value);
}

}  // namespace sweep
