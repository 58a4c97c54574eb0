#include "core/data_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "core/json_fields.h"

namespace sweep {
namespace {

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
  throw Failure(
      FailureCode::kUsage,
      fmt::format(
          "{}: data kind is '{}', expected {} or {}", origin, kind, kFashionScenes, kWebdataset));
}

[[noreturn]] void FailUnknownTask(const std::string& task, const std::string& origin) {
  throw Failure(
      FailureCode::kUsage,
      fmt::format("{}: task is '{}', expected zeroshot_classification or zeroshot_retrieval",
                  origin,
                  task));
}

void CheckCaptionsPerImage(int64_t captions, const std::string& origin) {
  Require(captions >= 1, origin, "captions_per_image", captions, "at least 1");
}

}  // namespace

void CheckTemplates(const std::vector<std::string>& templates, const std::string& origin) {
  for (const std::string& text : templates)
    Require(text.find("{}") != std::string::npos, origin, "templates", text, "a text with {}");
}

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
  CheckTemplates(options.templates, origin);
  return options;
}

FashionRetrievalOptions ParseFashionRetrievalOptions(const Json& json, const std::string& origin) {
  auto options = FieldsFromJson<FashionRetrievalOptions>(json, origin);
  CheckScenes(options, origin);
  CheckCaptionsPerImage(options.captions_per_image, origin);
  return options;
}

WebdatasetOptions ParseWebdatasetOptions(const Json& json, const std::string& origin) {
  auto options = FieldsFromJson<WebdatasetOptions>(json, origin);
  Require(options.seed >= 0, origin, "seed", options.seed, "zero or more");
  Require(options.least_area > 0 && options.least_area <= 1,
          origin,
          "least_area",
          options.least_area,
          "a share in (0, 1]");
  Require(options.resampled || options.weights.empty(),
          origin,
          "weights",
          fmt::format("[{}]", fmt::join(options.weights, ", ")),
          "none unless resampled is true");
  for (const double weight : options.weights)
    Require(weight > 0, origin, "weights", weight, "positive numbers");
  return options;
}

WebClassificationOptions ParseWebClassificationOptions(const Json& json,
                                                       const std::string& origin) {
  auto options = FieldsFromJson<WebClassificationOptions>(json, origin);
  CheckTemplates(options.templates, origin);
  return options;
}

WebRetrievalOptions ParseWebRetrievalOptions(const Json& json, const std::string& origin) {
  auto options = FieldsFromJson<WebRetrievalOptions>(json, origin);
  CheckCaptionsPerImage(options.captions_per_image, origin);
  return options;
}

bool IsBuiltInKind(const std::string& kind) {
  return kind == kFashionScenes || kind == kWebdataset;
}

int64_t MostPairs(const std::string& kind, const Json& options) {
  if (kind == kWebdataset) return std::numeric_limits<int64_t>::max();
  if (kind != kFashionScenes) FailUnknownKind(kind, "data");
  const FashionScenesOptions scenes = ParseFashionScenesOptions(options, "options");
  if (scenes.min_items > 1) return kFashionScenesPairs;
  return std::min(kFashionScenesPairs,
                  kFashionTrainItems * kFashionLeastCaptions * scenes.max_items);
}

Json CanonicalDataOptions(const std::string& kind, const Json& options, const std::string& origin) {
  if (kind == kFashionScenes) return FieldsToJson(ParseFashionScenesOptions(options, origin));
  if (kind == kWebdataset) return FieldsToJson(ParseWebdatasetOptions(options, origin));
  FailUnknownKind(kind, origin);
}

Json CanonicalEvaluationOptions(const std::string& task,
                                const std::string& kind,
                                const Json& options,
                                const std::string& origin) {
  if (!IsBuiltInKind(kind)) FailUnknownKind(kind, origin);
  const bool shards = kind == kWebdataset;
  if (task == "zeroshot_classification") {
    return shards ? FieldsToJson(ParseWebClassificationOptions(options, origin))
                  : FieldsToJson(ParseFashionClassificationOptions(options, origin));
  }
  if (task == "zeroshot_retrieval") {
    return shards ? FieldsToJson(ParseWebRetrievalOptions(options, origin))
                  : FieldsToJson(ParseFashionRetrievalOptions(options, origin));
  }
  FailUnknownTask(task, origin);
}

}  // namespace sweep
