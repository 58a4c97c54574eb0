#include "core/data_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json_fields.h"

namespace sweep {
namespace {

constexpr const char* kFashionScenes = "fashion_scenes";
constexpr int64_t kMostItems = 4;

template <class T>
void Require(bool holds,
             const std::string& origin,
             const char* field,
             const T& value,
             const char* expected) {
  if (holds) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("{}: {} is {}, expected {}", origin, field, value, expected));
}

void CheckCanvas(int64_t canvas, const std::string& origin) {
  Require(canvas >= 8 && canvas % 2 == 0,
          origin,
          "canvas",
          canvas,
          "an even number of pixels, at least 8");
}

void CheckShare(double share, const std::string& origin, const char* field) {
  Require(share >= 0 && share <= 1, origin, field, share, "a share in [0, 1]");
}

template <class Options>
void CheckScenes(const Options& options, const std::string& origin) {
  CheckCanvas(options.canvas, origin);
  Require(options.seed >= 0, origin, "seed", options.seed, "zero or more");
  Require(options.min_items >= 1 && options.min_items <= kMostItems,
          origin,
          "min_items",
          options.min_items,
          "1 to 4");
  Require(options.max_items >= options.min_items && options.max_items <= kMostItems,
          origin,
          "max_items",
          options.max_items,
          "min_items to 4");
  CheckShare(options.counted_share, origin, "counted_share");
}

[[noreturn]] void FailUnknownKind(const std::string& kind, const std::string& origin) {
  throw Failure(FailureCode::kUsage,
                fmt::format("{}: data kind is '{}', expected {}", origin, kind, kFashionScenes));
}

}  // namespace

FashionScenesOptions ParseFashionScenesOptions(const Json& json, const std::string& origin) {
  auto options = FieldsFromJson<FashionScenesOptions>(json, origin);
  CheckScenes(options, origin);
  CheckShare(options.mismatch, origin, "mismatch");
  return options;
}

FashionClassificationOptions ParseFashionClassificationOptions(const Json& json,
                                                               const std::string& origin) {
  auto options = FieldsFromJson<FashionClassificationOptions>(json, origin);
  CheckCanvas(options.canvas, origin);
  Require(!options.templates.empty(), origin, "templates", "empty", "at least one");
  for (const std::string& text : options.templates) {
    Require(text.find("{}") != std::string::npos, origin, "templates", text, "a text with {}");
  }
  return options;
}

FashionRetrievalOptions ParseFashionRetrievalOptions(const Json& json, const std::string& origin) {
  auto options = FieldsFromJson<FashionRetrievalOptions>(json, origin);
  CheckScenes(options, origin);
  Require(options.captions_per_image >= 1,
          origin,
          "captions_per_image",
          options.captions_per_image,
          "at least 1");
  return options;
}

int64_t MostPairs(const std::string& kind, const Json& options) {
  if (kind != kFashionScenes) FailUnknownKind(kind, "data");
  const FashionScenesOptions scenes = ParseFashionScenesOptions(options, "options");
  if (scenes.min_items > 1) return kFashionScenesPairs;
  return std::min(kFashionScenesPairs,
                  kFashionTrainItems * kFashionLeastCaptions * scenes.max_items);
}

Json CanonicalDataOptions(const std::string& kind, const Json& options, const std::string& origin) {
  if (kind != kFashionScenes) FailUnknownKind(kind, origin);
  return FieldsToJson(ParseFashionScenesOptions(options, origin));
}

Json CanonicalEvaluationOptions(const std::string& task,
                                const std::string& kind,
                                const Json& options,
                                const std::string& origin) {
  if (kind != kFashionScenes) FailUnknownKind(kind, origin);
  if (task == "zeroshot_classification")
    return FieldsToJson(ParseFashionClassificationOptions(options, origin));
  if (task == "zeroshot_retrieval")
    return FieldsToJson(ParseFashionRetrievalOptions(options, origin));
  throw Failure(
      FailureCode::kUsage,
      fmt::format("{}: task is '{}', expected zeroshot_classification or zeroshot_retrieval",
                  origin,
                  task));
}

}  // namespace sweep
