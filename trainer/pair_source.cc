#include "trainer/pair_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/data_options.h"
#include "core/failure.h"
#include "trainer/fashion_scenes.h"
#include "trainer/shard_pairs.h"

namespace sweep {
namespace {

enum Purpose : uint64_t { kSceneStream = 1, kCaptionStream, kMismatchStream, kSingleStream };

// Numbers of items take turns, so that any part of the data has the same mixture. Scenes of several
// items are drawn: two equal ones among a million are a matter of chance (there are 12 · 60,000² of
// two items). Single items are dealt: every image once with one of its captions, then every image
// once with the next.
class FashionScenesPairs : public PairSource {
 public:
  FashionScenesPairs(std::shared_ptr<const FashionMnist> data, const FashionScenesOptions& options)
      : data_(std::move(data)),
        options_(options),
        style_{options.min_items, options.max_items, options.counted_share},
        maker_(data_->train, options.canvas) {}

  std::string Load(int64_t pair,
                   Random /*augmentation*/,
                   std::span<uint8_t> pixels) const override {
    const Scene scene = SceneOf(pair);
    maker_.Paint(scene, pixels);
    Random mismatch(options_.seed, kMismatchStream, pair);
    if (mismatch.Unit() >= options_.mismatch) return CaptionOf(pair, scene);
    const int64_t step = 1 + mismatch.Below(kFashionScenesPairs - 1);
    const int64_t other = (pair + step) % kFashionScenesPairs;
    return CaptionOf(other, SceneOf(other));
  }

  int64_t channels() const override { return 1; }
  int64_t image_size() const override { return options_.canvas; }

 private:
  Scene SceneOf(int64_t pair) const {
    const int64_t count = options_.min_items + pair % item_counts();
    if (count == 1) return {{{{SingleItem(pair), 0}}}, 1};
    Random random(options_.seed, kSceneStream, pair);
    return maker_.Draw(random, count);
  }
  std::string CaptionOf(int64_t pair, const Scene& scene) const {
    Random random(options_.seed, kCaptionStream, pair);
    if (scene.count == 1) return CaptionOfSingle(pair, scene.placed[0].item);
    return maker_.Describe(scene, random, style_);
  }

  int64_t item_counts() const { return options_.max_items - options_.min_items + 1; }
  int64_t SingleItem(int64_t pair) const {
    const int64_t number = pair / item_counts();
    Random key(options_.seed, kSingleStream);
    return ShuffledIndex(number % maker_.item_count(), maker_.item_count(), key.Next());
  }
  std::string CaptionOfSingle(int64_t pair, int64_t item) const {
    const int64_t round = pair / item_counts() / maker_.item_count();
    Random first(options_.seed, kSingleStream, item);
    const int64_t captions = maker_.SingleCaptions(item);
    return maker_.DescribeSingle(item, (first.Below(captions) + round) % captions);
  }

  std::shared_ptr<const FashionMnist> data_;
  FashionScenesOptions options_;
  SceneStyle style_;
  SceneMaker maker_;
};

std::unique_ptr<PairSource> OpenFashionScenes(const RunSpec& spec, DataLibrary& library) {
  const auto options = ParseFashionScenesOptions(spec.data.options, "data.options");
  const int64_t most = MostPairs(spec.data.kind, spec.data.options);
  if (spec.data.data_scale > most) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("data.data_scale is {}, expected at most {}, the distinct pairs that "
                              "these options have",
                              spec.data.data_scale,
                              most));
  }
  return std::make_unique<FashionScenesPairs>(library.OpenFashionMnist(spec.data.content), options);
}

[[noreturn]] void FailUnknownKind(const std::string& kind) {
  throw Failure(
      FailureCode::kUsage,
      fmt::format("data.kind is '{}', expected {} or {}", kind, kFashionScenes, kWebdataset));
}

}  // namespace

int64_t MostUnusable(int64_t pairs) {
  constexpr int64_t kAlwaysBorne = 10;
  return std::max(kAlwaysBorne, pairs / 100);
}

std::unique_ptr<PairSource> OpenPairSource(const RunSpec& spec, DataLibrary& library) {
  if (spec.data.kind == kWebdataset)
    return OpenShardPairs(spec, library.OpenShards(spec.data.content));
  if (spec.data.kind == kFashionScenes) return OpenFashionScenes(spec, library);
  FailUnknownKind(spec.data.kind);
}

std::unique_ptr<SampleOrder> OpenSampleOrder(const RunSpec& spec, DataLibrary& library) {
  if (spec.data.kind == kWebdataset)
    return OpenShardOrder(spec, *library.OpenShards(spec.data.content));
  return std::make_unique<ShuffledOrder>(spec.data.data_scale, spec.seed);
}

}  // namespace sweep
