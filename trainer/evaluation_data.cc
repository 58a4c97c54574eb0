#include "trainer/evaluation_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "core/data_options.h"
#include "core/failure.h"
#include "trainer/fashion_scenes.h"
#include "trainer/image_transform.h"
#include "trainer/parallel.h"

namespace sweep {
namespace {

enum Purpose : uint64_t { kTestSceneStream = 101, kTestCaptionStream };

[[noreturn]] void FailUnknownKind(const std::string& kind) {
  throw Failure(
      FailureCode::kUsage,
      fmt::format("evaluation kind is '{}', expected {} or {}", kind, kFashionScenes, kWebdataset));
}

void CheckSize(const EvaluationSpec& spec, int64_t most, const char* of) {
  if (spec.size <= most) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("evaluation size is {}, expected at most {} {}", spec.size, most, of));
}

std::string FillTemplate(const std::string& text, const std::string& name) {
  const size_t at = text.find("{}");
  return text.substr(0, at) + name + text.substr(at + 2);
}

std::vector<std::vector<std::string>> Prompts(const std::vector<std::string>& classes,
                                              const std::vector<std::string>& templates) {
  std::vector<std::vector<std::string>> all;
  for (const std::string& name : classes) {
    auto& prompts = all.emplace_back();
    for (const std::string& text : templates) prompts.push_back(FillTemplate(text, name));
  }
  return all;
}

EvaluationImages EmptyImages(int64_t count, int64_t channels, int64_t side) {
  const auto bytes = static_cast<size_t>(count * channels * side * side);
  return {std::vector<uint8_t>(bytes), count, channels, side};
}

std::span<uint8_t> ImageAt(EvaluationImages& images, int64_t index) {
  const auto pixels = static_cast<size_t>(images.channels * images.image_size * images.image_size);
  return std::span(images.pixels).subspan(static_cast<size_t>(index) * pixels, pixels);
}

ClassificationData FashionClassification(const EvaluationSpec& spec, DataLibrary& library) {
  const auto options = ParseFashionClassificationOptions(spec.options, "evaluation options");
  const auto data = library.OpenFashionMnist(spec.content);
  CheckSize(spec, data->test.count(), "test images");
  const SceneMaker maker(data->test, options.canvas);
  ClassificationData result;
  result.images = EmptyImages(spec.size, 1, options.canvas);
  for (int64_t i = 0; i < spec.size; ++i) {
    Scene scene;
    scene.count = 1;
    scene.placed[0].item = i;
    maker.Paint(scene, ImageAt(result.images, i));
    result.labels.push_back(data->test.labels[static_cast<size_t>(i)]);
  }
  const auto& names = FashionClassNames();
  result.prompts = Prompts({names.begin(), names.end()}, options.templates);
  return result;
}

RetrievalData FashionRetrieval(const EvaluationSpec& spec, DataLibrary& library) {
  const auto options = ParseFashionRetrievalOptions(spec.options, "evaluation options");
  const auto data = library.OpenFashionMnist(spec.content);
  const SceneMaker maker(data->test, options.canvas);
  const SceneStyle style{options.min_items, options.max_items, options.counted_share};
  RetrievalData result;
  result.captions_per_image = options.captions_per_image;
  result.images = EmptyImages(spec.size, 1, options.canvas);
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

// The first `size` samples of a set, in its own order, as open_clip prepares them for evaluation.
EvaluationImages ShardImages(const ShardSet& set, int64_t size, int64_t side, int64_t threads) {
  EvaluationImages images = EmptyImages(size, 3, side);
  ForEachInParallel(size, threads, [&](int64_t i) {
    std::string problem;
    const auto image = DecodeImage(set.ReadImage(i), 0, problem);
    if (!image) throw Failure(FailureCode::kData, fmt::format("{}: {}", set.NameOf(i), problem));
    ResizeAndCenterCrop(*image, side, ImageAt(images, i));
  });
  return images;
}

ClassificationData ShardClassification(const EvaluationSpec& spec,
                                       int64_t image_size,
                                       DataLibrary& library) {
  const auto options = ParseWebClassificationOptions(spec.options, "evaluation options");
  const auto set = library.OpenShards(spec.content);
  const std::vector<std::string>& classes = set->index().classes;
  CheckSize(spec, set->size(), "samples of the set");
  ClassificationData result;
  result.images = ShardImages(*set, spec.size, image_size, library.threads());
  for (int64_t i = 0; i < spec.size; ++i) {
    const int64_t label = set->sample(i).label;
    if (label < 0 || label >= static_cast<int64_t>(classes.size())) {
      throw Failure(
          FailureCode::kData,
          fmt::format("{}: class (cls) is {}, expected one of the {} that the index names",
                      set->NameOf(i),
                      label,
                      classes.size()));
    }
    result.labels.push_back(label);
  }
  result.prompts =
      Prompts(classes, options.templates.empty() ? set->index().templates : options.templates);
  return result;
}

// The first lines of a text that are not empty.
std::vector<std::string> Lines(const std::string& text, size_t most) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; lines.size() < most && std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

RetrievalData ShardRetrieval(const EvaluationSpec& spec, int64_t image_size, DataLibrary& library) {
  const auto options = ParseWebRetrievalOptions(spec.options, "evaluation options");
  const auto set = library.OpenShards(spec.content);
  CheckSize(spec, set->size(), "samples of the set");
  RetrievalData result;
  result.captions_per_image = options.captions_per_image;
  const auto wanted = static_cast<size_t>(options.captions_per_image);
  for (int64_t i = 0; i < spec.size; ++i) {
    const auto lines = Lines(set->ReadCaption(i), wanted);
    if (lines.size() < wanted) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: has {} captions (lines of its txt), expected {}",
                                set->NameOf(i),
                                lines.size(),
                                wanted));
    }
    result.captions.insert(result.captions.end(), lines.begin(), lines.end());
  }
  result.images = ShardImages(*set, spec.size, image_size, library.threads());
  return result;
}

}  // namespace

ClassificationData OpenClassification(const EvaluationSpec& spec,
                                      int64_t image_size,
                                      DataLibrary& library) {
  if (spec.kind == kFashionScenes) return FashionClassification(spec, library);
  if (spec.kind == kWebdataset) return ShardClassification(spec, image_size, library);
  FailUnknownKind(spec.kind);
}

RetrievalData OpenRetrieval(const EvaluationSpec& spec, int64_t image_size, DataLibrary& library) {
  if (spec.kind == kFashionScenes) return FashionRetrieval(spec, library);
  if (spec.kind == kWebdataset) return ShardRetrieval(spec, image_size, library);
  FailUnknownKind(spec.kind);
}

}  // namespace sweep
