#include "trainer/parameter_layout.h"

#include <algorithm>

namespace sweep {
namespace {

// Every parameter begins on a cache line.
constexpr int64_t kAlignment = 16;

int64_t RoundUp(int64_t size, int64_t step) {
  return (size + step - 1) / step * step;
}

bool InFirst(const ParameterInfo& info, bool norms_in_first) {
  return info.place.tower == Tower::kNone || (norms_in_first && info.norm());
}

// The parameters of each layer of a tower that are not in the first bucket.
std::vector<std::vector<size_t>> UnitsOf(const std::vector<ParameterInfo>& list,
                                         Tower tower,
                                         bool norms_in_first) {
  std::vector<std::vector<size_t>> units;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].place.tower != tower || InFirst(list[i], norms_in_first)) continue;
    const auto layer = static_cast<size_t>(list[i].place.layer);
    if (units.size() <= layer) units.resize(layer + 1);
    units[layer].push_back(i);
  }
  return units;
}

}  // namespace

ParameterLayout::ParameterLayout(const std::vector<ParameterInfo>& list, const Options& options)
    : buckets_(1), spans_(list.size()) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (InFirst(list[i], options.norms_in_first)) AddToBucket(i, list[i]);
  }
  for (const Tower tower : {Tower::kVision, Tower::kText}) AddUnits(tower, list, options);
  Place(list, options.parts);
}

void ParameterLayout::AddToBucket(size_t index, const ParameterInfo& info) {
  buckets_.back().members.push_back(index);
  buckets_.back().size += RoundUp(info.size(), kAlignment);
}

void ParameterLayout::AddUnits(Tower tower,
                               const std::vector<ParameterInfo>& list,
                               const Options& options) {
  for (const std::vector<size_t>& unit : UnitsOf(list, tower, options.norms_in_first)) {
    const bool full = buckets_.size() == 1 || buckets_.back().size >= options.bucket_size;
    if (full) buckets_.emplace_back();
    for (const size_t index : unit) AddToBucket(index, list[index]);
    ++buckets_.back().units;
    of_unit_[static_cast<size_t>(tower)].push_back(buckets_.size() - 1);
  }
}

void ParameterLayout::Place(const std::vector<ParameterInfo>& list, int64_t parts) {
  int64_t begin = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    Bucket& bucket = buckets_[b];
    std::ranges::stable_partition(bucket.members, [&](size_t i) { return list[i].decays(); });
    int64_t end = 0;
    for (const size_t i : bucket.members) {
      spans_[i] = {b, end, RoundUp(list[i].size(), kAlignment)};
      end += spans_[i].size;
    }
    bucket.begin = begin;
    bucket.size = RoundUp(end, kAlignment * parts);
    begin += bucket.size;
  }
}

size_t ParameterLayout::BucketOf(Tower tower, int64_t layer) const {
  return of_unit_[static_cast<size_t>(tower)].at(static_cast<size_t>(layer));
}

}  // namespace sweep
