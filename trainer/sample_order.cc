#include "trainer/sample_order.h"

#include <algorithm>

namespace sweep {
namespace {

// Numbers that separate the random streams of one seed. ShuffledOrder's keys have none: they are
// older than these.
enum Purpose : uint64_t {
  kAugmentStream = 201,
  kBlockStream,
  kWindowStream,
  kShiftStream,
  kRunStream,
  kDrawStream
};

// `place` shuffled within its window of a sequence of `size`.
int64_t MixWithinWindow(int64_t place, int64_t size, int64_t seed, int64_t epoch) {
  const int64_t window = place / kOrderWindow;
  const int64_t first = window * kOrderWindow;
  Random key(seed, kWindowStream, epoch, window);
  return first + ShuffledIndex(place - first, std::min(kOrderWindow, size - first), key.Next());
}

}  // namespace

Random SampleOrder::AugmentationOf(int64_t sample) const {
  return Random(seed_, kAugmentStream, sample);
}

int64_t ShuffledOrder::PairOf(int64_t sample) const {
  const auto epoch = static_cast<uint64_t>(sample / data_scale_);
  const uint64_t key = MixBits(MixBits(static_cast<uint64_t>(seed())) ^ epoch);
  return ShuffledIndex(sample % data_scale_, data_scale_, key);
}

int64_t BlockShuffledOrder::PairOf(int64_t sample) const {
  const int64_t epoch = sample / data_scale_;
  const int64_t place = MixWithinWindow(sample % data_scale_, data_scale_, seed(), epoch);
  const int64_t blocks = data_scale_ / kOrderBlock;
  int64_t block = place / kOrderBlock;
  Random block_key(seed(), kBlockStream, epoch);
  // The rest beyond the last whole block keeps its place; the shift moves it from epoch to epoch.
  if (block < blocks) block = ShuffledIndex(block, blocks, block_key.Next());
  Random shift(seed(), kShiftStream, epoch);
  const auto scale = static_cast<uint64_t>(data_scale_);
  const auto pair = static_cast<uint64_t>(block * kOrderBlock + place % kOrderBlock);
  return static_cast<int64_t>((pair + shift.Next() % scale) % scale);
}

ResampledOrder::ResampledOrder(std::vector<PairRun> runs, int64_t seed)
    : SampleOrder(seed), runs_(std::move(runs)) {
  double mass = 0;
  for (const PairRun& run : runs_) {
    mass += run.weight * static_cast<double>(run.pairs);
    mass_up_to_.push_back(mass);
  }
}

int64_t ResampledOrder::PairOf(int64_t sample) const {
  const int64_t place = MixWithinWindow(sample, INT64_MAX, seed(), 0);
  Random which(seed(), kRunStream, place / kOrderBlock);
  const double at = which.Unit() * mass_up_to_.back();
  const auto found = std::upper_bound(mass_up_to_.begin(), mass_up_to_.end(), at);
  const PairRun& run = runs_[static_cast<size_t>(found - mass_up_to_.begin())];
  Random draw(seed(), kDrawStream, place);
  return run.first + draw.Below(run.pairs);
}

}  // namespace sweep
