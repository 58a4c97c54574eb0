#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "trainer/parameter_list.h"

namespace sweep {

/// How parameters are laid out in memory: in buckets, each one contiguous stretch that processes
/// exchange at once, cut into equal parts of which each process may keep one.
///
/// The first bucket holds what every product is in fp32 with: the logit scale and bias and, where
/// asked for, the gains and biases of norms. The others hold units, what one layer of a tower has
/// (ParameterPlace), in the order of a forward pass. Within a bucket parameters with weight decay
/// come first, so that few stretches have settings of their own; each begins on a cache line.
class ParameterLayout {
 public:
  struct Options {
    bool norms_in_first = true;
    int64_t parts = 1;        ///< a bucket's size is a multiple of as many cache lines
    int64_t bucket_size = 0;  ///< numbers: a bucket takes units until it has so many
  };

  struct Bucket {
    std::vector<size_t> members;  ///< of the list, in the order in which they lie
    int64_t units = 0;
    int64_t begin = 0;  ///< in a buffer of all buckets
    int64_t size = 0;   ///< numbers, padding included
  };

  /// Where a parameter lies.
  struct Span {
    size_t bucket = 0;
    int64_t begin = 0;  ///< in the bucket
    int64_t size = 0;   ///< numbers, padding included
  };

  ParameterLayout(const std::vector<ParameterInfo>& list, const Options& options);

  [[nodiscard]] const std::vector<Bucket>& buckets() const { return buckets_; }
  [[nodiscard]] const Span& SpanOf(size_t index) const { return spans_[index]; }
  /// The bucket of a tower's layer. Throws std::out_of_range for a layer the model does not have.
  [[nodiscard]] size_t BucketOf(Tower tower, int64_t layer) const;
  /// Numbers of all buckets.
  [[nodiscard]] int64_t size() const { return buckets_.back().begin + buckets_.back().size; }

 private:
  void AddToBucket(size_t index, const ParameterInfo& info);
  void AddUnits(Tower tower, const std::vector<ParameterInfo>& list, const Options& options);
  void Place(const std::vector<ParameterInfo>& list, int64_t parts);

  std::vector<Bucket> buckets_;
  std::vector<Span> spans_;                     // by parameter
  std::array<std::vector<size_t>, 3> of_unit_;  // by tower and layer
};

}  // namespace sweep
