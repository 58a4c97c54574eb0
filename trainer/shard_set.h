#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/sample_order.h"
#include "trainer/shard_index.h"

namespace sweep {

/// An indexed set of shards, open for reading. All of it is thread-safe.
///
/// Its pairs have one seeded order, shard by shard: shards are shuffled, and each is read from its
/// first sample to its last. So the first n pairs are a subset that every larger n contains, and
/// it is made of few shards.
class ShardSet {
 public:
  /// `folder` is what IndexShards made; `content` the identity it must have. Throws Failure(kData)
  /// for another set, or when a shard is missing or has another size than it had.
  ShardSet(const std::filesystem::path& folder, const std::string& content);
  ~ShardSet();

  [[nodiscard]] const ShardIndex& index() const { return index_; }
  [[nodiscard]] int64_t size() const { return index_.samples; }

  /// Number of the sample, in the order of the index, that is pair `pair` of the order with `seed`.
  class Order {
   public:
    Order(const ShardSet& set, int64_t seed);
    [[nodiscard]] int64_t SampleOf(int64_t pair) const;
    /// The first `pairs` pairs as the runs of shards they are made of; `weights` has one a source
    /// or is empty.
    [[nodiscard]] std::vector<ResampledOrder::PairRun> Runs(
        int64_t pairs, const std::vector<double>& weights) const;

   private:
    const ShardSet& set_;
    std::vector<size_t> shards_;       ///< in this order
    std::vector<int64_t> first_pair_;  ///< of each of them
  };

  [[nodiscard]] const ShardSample& sample(int64_t number) const;
  /// Bytes of the image file and of the caption. Throw Failure(kData) when they cannot be read.
  [[nodiscard]] std::string ReadImage(int64_t number) const;
  [[nodiscard]] std::string ReadCaption(int64_t number) const;
  /// A stretch of one shard.
  struct Extent {
    std::filesystem::path path;
    int64_t offset = 0;
    int64_t bytes = 0;
  };
  /// Where samples first to first + count - 1 lie, as far as there are so many: one a shard.
  [[nodiscard]] std::vector<Extent> ExtentsOf(int64_t first, int64_t count) const;
  /// Has the kernel read samples first to first + count - 1 into its cache, in the background.
  void ReadAhead(int64_t first, int64_t count) const;
  /// "SHARD: NAME", for messages.
  [[nodiscard]] std::string NameOf(int64_t number) const;

 private:
  class MappedSamples;

  [[nodiscard]] size_t ShardOf(int64_t number) const;
  [[nodiscard]] uint32_t CheckSize(int64_t number, uint32_t bytes, int64_t most) const;
  [[nodiscard]] std::string Read(int64_t number, uint64_t offset, uint32_t bytes) const;

  std::filesystem::path folder_;
  ShardIndex index_;
  std::vector<std::filesystem::path> paths_;
  std::vector<size_t> source_;         ///< of each shard
  std::vector<int64_t> first_sample_;  ///< of each shard, and the number of all at the end
  std::unique_ptr<MappedSamples> samples_;
};

}  // namespace sweep
