#include "trainer/evaluation_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/data_options.h"
#include "core/failure.h"
#include "trainer/fashion_scenes.h"

namespace sweep {
namespace {

enum Purpose : uint64_t { kTestSceneStream = 101, kTestCaptionStream };

void CheckKind(const EvaluationSpec& spec) {
  if (spec.kind == "fashion_scenes") return;
  throw Failure(FailureCode::kUsage,
                fmt::format("evaluation kind is '{}', expected fashion_scenes", spec.kind));
}

std::string FillTemplate(const std::string& text, const std::string& name) {
  const size_t at = text.find("{}");
  return text.substr(0, at) + name + text.substr(at + 2);
}

EvaluationImages EmptyImages(int64_t count, int64_t canvas) {
  return {std::vector<uint8_t>(static_cast<size_t>(count * canvas * canvas)), count, 1, canvas};
}

std::span<uint8_t> ImageAt(EvaluationImages& images, int64_t index) {
  const auto pixels = static_cast<size_t>(images.image_size * images.image_size);
  return std::span(images.pixels).subspan(static_cast<size_t>(index) * pixels, pixels);
}

}  // namespace

ClassificationData OpenClassification(const EvaluationSpec& spec, DataLibrary& library) {
  CheckKind(spec);
  const auto options = ParseFashionClassificationOptions(spec.options, "evaluation options");
  const auto data = library.OpenFashionMnist(spec.content);
  if (spec.size > data->test.count()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("evaluation size is {}, expected at most {} test images",
                              spec.size,
                              data->test.count()));
  }
  const SceneMaker maker(data->test, options.canvas);
  ClassificationData result;
  result.images = EmptyImages(spec.size, options.canvas);
  for (int64_t i = 0; i < spec.size; ++i) {
    Scene scene;
    scene.count = 1;
    scene.placed[0].item = i;
    maker.Paint(scene, ImageAt(result.images, i));
    result.labels.push_back(data->test.labels[static_cast<size_t>(i)]);
  }
  for (const std::string& name : FashionClassNames()) {
    auto& prompts = result.prompts.emplace_back();
    for (const std::string& text : options.templates) prompts.push_back(FillTemplate(text, name));
  }
  return result;
}

RetrievalData OpenRetrieval(const EvaluationSpec& spec, DataLibrary& library) {
  CheckKind(spec);
  const auto options = ParseFashionRetrievalOptions(spec.options, "evaluation options");
  const auto data = library.OpenFashionMnist(spec.content);
  const SceneMaker maker(data->test, options.canvas);
  const SceneStyle style{options.min_items, options.max_items, options.counted_share};
  RetrievalData result;
  result.captions_per_image = options.captions_per_image;
  result.images = EmptyImages(spec.size, options.canvas);
  for (int64_t i = 0; i < spec.size; ++i) {
    Random random(options.seed, kTestSceneStream, i);
    const Scene scene = maker.Draw(random, style);
    maker.Paint(scene, ImageAt(result.images, i));
    for (int64_t c = 0; c < options.captions_per_image; ++c) {
      Random words(options.seed, kTestCaptionStream, i, c);
      result.captions.push_back(maker.Describe(scene, words, style));
    }
  }
  return result;
}

}  // namespace sweep
