#include "trainer/shard_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <numeric>
#include <set>

#include "core/data_options.h"
#include "core/failure.h"
#include "trainer/image_transform.h"

namespace sweep {
namespace {

// Half sides that a JPEG decoded at a reduced scale keeps for each side it is resized to: three
// keep the result as sharp as the full size would.
constexpr int64_t kSpareSize = 3;

// Blocks of a window, and as many of the next; each may lie across two of the index's.
constexpr size_t kBlocksRemembered = 4 * kOrderWindow / kOrderBlock;

// Captions may end with the newline that editors write.
std::string TrimEnd(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

class ShardPairs : public PairSource {
 public:
  ShardPairs(const RunSpec& spec,
             const WebdatasetOptions& options,
             std::shared_ptr<const ShardSet> set)
      : set_(std::move(set)),
        order_(*set_, options.seed),
        least_area_(options.least_area),
        side_(spec.model.vision.image_size),
        pairs_(spec.data.data_scale) {}

  // A pair that cannot be used is replaced by the next one that can: the same one every time.
  std::string Load(int64_t pair, Random augmentation, std::span<uint8_t> pixels) const override {
    for (int64_t tried = 0; tried < pairs_; ++tried) {
      const int64_t number = order_.SampleOf((pair + tried) % pairs_);
      std::string problem;
      const auto image = DecodeImage(set_->ReadImage(number), kSpareSize * side_ / 2, problem);
      if (image) {
        RandomResizedCrop(*image, side_, least_area_, augmentation, pixels);
        return TrimEnd(set_->ReadCaption(number));
      }
      NoteUnusable(number, problem);
    }
    throw Failure(FailureCode::kData, "no image of the data can be used");
  }

  // Whole blocks are read ahead at once and onward, when the first of their pairs is announced.
  void Announce(int64_t pair) const override {
    const int64_t block = order_.SampleOf(pair) / kOrderBlock;
    {
      const std::lock_guard lock(mutex_);
      if (std::find(read_ahead_.begin(), read_ahead_.end(), block) != read_ahead_.end()) return;
      read_ahead_.push_back(block);
      if (read_ahead_.size() > kBlocksRemembered) read_ahead_.pop_front();
    }
    set_->ReadAhead(block * kOrderBlock, kOrderBlock);
  }

  std::vector<UnusablePair> TakeUnusable() const override {
    const std::lock_guard lock(mutex_);
    return std::exchange(news_, {});
  }

  int64_t channels() const override { return 3; }
  int64_t image_size() const override { return side_; }

 private:
  void NoteUnusable(int64_t number, const std::string& problem) const {
    const std::lock_guard lock(mutex_);
    if (!unusable_.insert(number).second) return;
    news_.push_back({set_->NameOf(number), problem});
    const int64_t most = MostUnusable(pairs_);
    if (static_cast<int64_t>(unusable_.size()) <= most) return;
    throw Failure(FailureCode::kData,
                  fmt::format("more than {} of {} images cannot be used, the last: {}: {}",
                              most,
                              pairs_,
                              news_.back().name,
                              problem));
  }

  std::shared_ptr<const ShardSet> set_;
  ShardSet::Order order_;
  double least_area_;
  int64_t side_;
  int64_t pairs_;
  mutable std::mutex mutex_;
  mutable std::set<int64_t> unusable_;
  mutable std::vector<UnusablePair> news_;
  mutable std::deque<int64_t> read_ahead_;
};

WebdatasetOptions ReadOptions(const RunSpec& spec, const ShardSet& set) {
  auto options = ParseWebdatasetOptions(spec.data.options, "data.options");
  const size_t sources = set.index().sources.size();
  if (!options.weights.empty() && options.weights.size() != sources) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("data.options: weights has {} numbers, expected one for each of the "
                              "set's {} sources",
                              options.weights.size(),
                              sources));
  }
  return options;
}

}  // namespace

std::unique_ptr<PairSource> OpenShardPairs(const RunSpec& spec,
                                           std::shared_ptr<const ShardSet> set) {
  if (set->index().captions != set->size()) {
    throw Failure(FailureCode::kData,
                  fmt::format("{} of the set's {} samples have no caption (txt)",
                              set->size() - set->index().captions,
                              set->size()));
  }
  if (spec.data.data_scale > set->size()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("data.data_scale is {}, expected at most the set's {} samples",
                              spec.data.data_scale,
                              set->size()));
  }
  const WebdatasetOptions options = ReadOptions(spec, *set);
  return std::make_unique<ShardPairs>(spec, options, std::move(set));
}

std::unique_ptr<SampleOrder> OpenShardOrder(const RunSpec& spec, const ShardSet& set) {
  const WebdatasetOptions options = ReadOptions(spec, set);
  if (!options.resampled)
    return std::make_unique<BlockShuffledOrder>(spec.data.data_scale, spec.seed);
  const ShardSet::Order order(set, options.seed);
  return std::make_unique<ResampledOrder>(order.Runs(spec.data.data_scale, options.weights),
                                          spec.seed);
}

}  // namespace sweep
