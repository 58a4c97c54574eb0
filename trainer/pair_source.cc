#include "trainer/pair_source.h"

#include <fmt/format.h>

#include "core/data_options.h"
#include "core/failure.h"
#include "trainer/fashion_scenes.h"

namespace sweep {
namespace {

enum Purpose : uint64_t { kSceneStream = 1, kCaptionStream, kMismatchStream };

class FashionScenesPairs : public PairSource {
 public:
  FashionScenesPairs(std::shared_ptr<const FashionMnist> data, const FashionScenesOptions& options)
      : data_(std::move(data)),
        options_(options),
        style_{options.min_items, options.max_items, options.counted_share},
        maker_(data_->train, options.canvas) {}

  std::string Load(int64_t pair, std::span<uint8_t> pixels) const override {
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
    Random random(options_.seed, kSceneStream, pair);
    return maker_.Draw(random, style_);
  }
  std::string CaptionOf(int64_t pair, const Scene& scene) const {
    Random random(options_.seed, kCaptionStream, pair);
    return maker_.Describe(scene, random, style_);
  }

  std::shared_ptr<const FashionMnist> data_;
  FashionScenesOptions options_;
  SceneStyle style_;
  SceneMaker maker_;
};

std::unique_ptr<PairSource> OpenFashionScenes(const RunSpec& spec, DataLibrary& library) {
  const auto options = ParseFashionScenesOptions(spec.data.options, "data.options");
  if (spec.data.data_scale > kFashionScenesPairs) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("data.data_scale is {}, expected at most {} pairs of fashion_scenes",
                              spec.data.data_scale,
                              kFashionScenesPairs));
  }
  return std::make_unique<FashionScenesPairs>(library.OpenFashionMnist(spec.data.content), options);
}

}  // namespace

std::unique_ptr<PairSource> OpenPairSource(const RunSpec& spec, DataLibrary& library) {
  if (spec.data.kind != "fashion_scenes") {
    throw Failure(FailureCode::kUsage,
                  fmt::format("data.kind is '{}', expected fashion_scenes", spec.data.kind));
  }
  auto source = OpenFashionScenes(spec, library);
  if (source->image_size() != spec.model.vision.image_size) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("model.vision.image_size is {}, expected the data's canvas, {}",
                              spec.model.vision.image_size,
                              source->image_size()));
  }
  return source;
}

}  // namespace sweep
