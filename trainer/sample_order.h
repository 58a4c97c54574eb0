#pragma once

#include <cstdint>
#include <vector>

#include "trainer/random.h"

namespace sweep {

/// Which pair each sample of a run is, and what chance does to it: functions of the run's seed and
/// the sample's number alone, so a run goes on anywhere without any state.
class SampleOrder {
 public:
  explicit SampleOrder(int64_t seed) : seed_(seed) {}
  virtual ~SampleOrder() = default;

  [[nodiscard]] virtual int64_t PairOf(int64_t sample) const = 0;
  /// Random numbers for the augmentation of one sample.
  [[nodiscard]] Random AugmentationOf(int64_t sample) const;

 protected:
  [[nodiscard]] int64_t seed() const { return seed_; }

 private:
  int64_t seed_;
};

/// Samples that are mixed together when pairs are read in blocks, and the pairs of a block.
inline constexpr int64_t kOrderBlock = 1024;
inline constexpr int64_t kOrderWindow = 16 * kOrderBlock;

/// Every pair once an epoch, reshuffled each epoch: any pair may come anywhere.
class ShuffledOrder : public SampleOrder {
 public:
  ShuffledOrder(int64_t data_scale, int64_t seed) : SampleOrder(seed), data_scale_(data_scale) {}
  [[nodiscard]] int64_t PairOf(int64_t sample) const override;

 private:
  int64_t data_scale_;
};

/// Every pair once an epoch, for pairs that lie in files one after the other: blocks of
/// kOrderBlock neighbours are shuffled, and the samples within each kOrderWindow. So a disk can
/// read whole blocks onward, and a batch still mixes many. The blocks begin elsewhere in each
/// epoch.
class BlockShuffledOrder : public SampleOrder {
 public:
  BlockShuffledOrder(int64_t data_scale, int64_t seed)
      : SampleOrder(seed), data_scale_(data_scale) {}
  [[nodiscard]] int64_t PairOf(int64_t sample) const override;

 private:
  int64_t data_scale_;
};

/// Pairs drawn with replacement: kOrderBlock samples draw from one run of pairs (a shard), which is
/// drawn itself with a probability of its weight times its pairs; they are mixed within each
/// kOrderWindow.
class ResampledOrder : public SampleOrder {
 public:
  struct PairRun {
    int64_t first = 0;
    int64_t pairs = 0;
    double weight = 1;
  };
  ResampledOrder(std::vector<PairRun> runs, int64_t seed);
  [[nodiscard]] int64_t PairOf(int64_t sample) const override;

 private:
  std::vector<PairRun> runs_;
  std::vector<double> mass_up_to_;  ///< sum of weight times pairs, this run included
};

}  // namespace sweep
