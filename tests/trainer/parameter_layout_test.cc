#include "trainer/parameter_layout.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/sample_specs.h"

namespace sweep {
namespace {

std::vector<ParameterInfo> SmallList() {
  ModelSpec model = SampleRunSpec().model;
  model.embed_dim = 12;
  model.vision = {16, 8, 32, 2, 16, 4.0};
  model.text = {10, 24, 24, 3, 2, 4.0};
  return ListParameters(model);
}

}  // namespace

TEST_CASE("Every parameter lies in one bucket, on a cache line, where no other does") {
  const std::vector<ParameterInfo> list = SmallList();
  for (const int64_t parts : {1, 2, 4, 3}) {
    const ParameterLayout layout(list, {.parts = parts, .bucket_size = 2048});
    REQUIRE(layout.buckets().size() > 3);
    std::set<size_t> members;
    int64_t begin = 0;
    for (const ParameterLayout::Bucket& bucket : layout.buckets()) {
      CHECK(bucket.begin == begin);
      CHECK(bucket.size % (16 * parts) == 0);
      int64_t end = 0;
      for (const size_t i : bucket.members) {
        CHECK(members.insert(i).second);
        CHECK(layout.SpanOf(i).begin == end);
        CHECK(layout.SpanOf(i).size % 16 == 0);
        CHECK(layout.SpanOf(i).size >= list[i].size());
        end += layout.SpanOf(i).size;
      }
      CHECK(end <= bucket.size);
      begin += bucket.size;
    }
    CHECK(members.size() == list.size());
    CHECK(layout.size() == begin);
  }
}

TEST_CASE("A bucket has whole layers, with those parameters first that decay") {
  const std::vector<ParameterInfo> list = SmallList();
  const ParameterLayout layout(list, {.bucket_size = 2048});
  const auto& buckets = layout.buckets();
  for (const ParameterLayout::Bucket& bucket : buckets) {
    CHECK(std::ranges::is_partitioned(bucket.members, [&](size_t i) { return list[i].decays(); }));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const ParameterPlace& place = list[i].place;
    const bool first = place.tower == Tower::kNone || list[i].norm();
    INFO(list[i].name);
    CHECK(layout.SpanOf(i).bucket == (first ? 0 : layout.BucketOf(place.tower, place.layer)));
  }
  for (size_t b = 1; b + 1 < buckets.size(); ++b) CHECK(buckets[b].size >= 2048);
  CHECK_THROWS_AS(layout.BucketOf(Tower::kVision, 9), std::out_of_range);
}

TEST_CASE("Without a size each layer is a bucket; where norms are not fp32 they lie with it") {
  const ParameterLayout layout(SmallList(), {.norms_in_first = false});
  CHECK(layout.buckets().size() == 1 + 2 * (2 + 2));  // two blocks, before and after them
  CHECK(layout.buckets()[0].members.size() == 1);
  for (size_t b = 1; b < layout.buckets().size(); ++b) CHECK(layout.buckets()[b].units == 1);
}

}  // namespace sweep
