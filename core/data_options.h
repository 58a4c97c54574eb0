#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace sweep {

/// Settings of the data kind `fashion_scenes`: scenes of real photographs of clothing
/// (Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747), each with a caption. Pair i is
/// a function of `seed` and i alone, so a smaller data_scale is contained in a larger one.
struct FashionScenesOptions {
  int64_t canvas = 28;  ///< square image, pixels; even, equal to the model's image_size
  int64_t seed = 0;     ///< which scenes; another seed is another data set
  int64_t min_items = 1;
  int64_t max_items = 4;        ///< items a scene, uniform in [min_items, max_items], at most 4
  double mismatch = 0;          ///< share of pairs whose caption is another pair's, in [0, 1]
  double counted_share = 0.25;  ///< share of captions of several items that count them and say
                                ///< nothing about where they are
  bool operator==(const FashionScenesOptions&) const = default;
};

/// Settings of the data kind `webdataset`: tar shards of images and captions, by an index that
/// `clip_train index_shards` makes.
struct WebdatasetOptions {
  int64_t seed = 0;         ///< order of the shards, of which data_scale takes the first pairs
  double least_area = 0.9;  ///< smallest share of an image that the random crop keeps, in (0, 1]
  bool resampled = false;   ///< pairs are drawn with replacement instead of once an epoch
  std::vector<double> weights;  ///< with resampled: how often a pair of each source is drawn,
                                ///< relative to the others; none: equally often
  bool operator==(const WebdatasetOptions&) const = default;
};

/// Zero-shot classification on `webdataset`: images with a `cls` member, the number of their class.
/// The names of classes belong to the shards' index.
struct WebClassificationOptions {
  std::vector<std::string> templates;  ///< prompts; none: those of the index
  bool operator==(const WebClassificationOptions&) const = default;
};

/// Zero-shot retrieval on `webdataset`: images whose `txt` member has a caption a line.
struct WebRetrievalOptions {
  int64_t captions_per_image = 5;  ///< the first lines; every image must have as many
  bool operator==(const WebRetrievalOptions&) const = default;
};

/// Names of the data kinds.
inline constexpr const char* kFashionScenes = "fashion_scenes";
inline constexpr const char* kWebdataset = "webdataset";

/// Zero-shot classification on `fashion_scenes`: single test items, ten classes.
struct FashionClassificationOptions {
  int64_t canvas = 28;
  std::vector<std::string> templates = {
      "{}", "a photo of a {}", "a picture of a {}", "this is a {}"};
  bool operator==(const FashionClassificationOptions&) const = default;
};

/// Zero-shot retrieval on `fashion_scenes`: scenes of test items, several captions each.
struct FashionRetrievalOptions {
  int64_t canvas = 28;
  int64_t seed = 0;
  int64_t min_items = 2;
  int64_t max_items = 4;
  double counted_share = 0;
  int64_t captions_per_image = 5;
  bool operator==(const FashionRetrievalOptions&) const = default;
};

/// Pairs that `fashion_scenes` numbers.
inline constexpr int64_t kFashionScenesPairs = 1'000'000;
/// Images of the training part.
inline constexpr int64_t kFashionTrainItems = 60'000;
/// Captions that every single item has at least (trainer/fashion_scenes.h).
inline constexpr int64_t kFashionLeastCaptions = 6;
/// Images of the test part, the most that zero-shot classification can use.
inline constexpr int64_t kFashionTestItems = 10'000;

template <class Visitor>
void VisitFields(Visitor& visit, FashionScenesOptions& s) {
  visit("canvas", s.canvas, 28);
  visit("seed", s.seed, 0);
  visit("min_items", s.min_items, 1);
  visit("max_items", s.max_items, 4);
  visit("mismatch", s.mismatch, 0.0);
  visit("counted_share", s.counted_share, 0.25);
}

template <class Visitor>
void VisitFields(Visitor& visit, WebdatasetOptions& s) {
  visit("seed", s.seed, 0);
  visit("least_area", s.least_area, 0.9);
  visit("resampled", s.resampled, false);
  visit("weights", s.weights, std::vector<double>());
}

template <class Visitor>
void VisitFields(Visitor& visit, WebClassificationOptions& s) {
  visit("templates", s.templates, std::vector<std::string>());
}

template <class Visitor>
void VisitFields(Visitor& visit, WebRetrievalOptions& s) {
  visit("captions_per_image", s.captions_per_image, 5);
}

template <class Visitor>
void VisitFields(Visitor& visit, FashionClassificationOptions& s) {
  visit("canvas", s.canvas, 28);
  visit("templates", s.templates, FashionClassificationOptions().templates);
}

template <class Visitor>
void VisitFields(Visitor& visit, FashionRetrievalOptions& s) {
  visit("canvas", s.canvas, 28);
  visit("seed", s.seed, 0);
  visit("min_items", s.min_items, 2);
  visit("max_items", s.max_items, 4);
  visit("counted_share", s.counted_share, 0.0);
  visit("captions_per_image", s.captions_per_image, 5);
}

/// Each reads and checks one kind's options. Throws Failure(kUsage) naming `origin`, the field, its
/// value and what was expected.
[[nodiscard]] FashionScenesOptions ParseFashionScenesOptions(const Json& json,
                                                             const std::string& origin);
[[nodiscard]] FashionClassificationOptions ParseFashionClassificationOptions(
    const Json& json, const std::string& origin);
[[nodiscard]] FashionRetrievalOptions ParseFashionRetrievalOptions(const Json& json,
                                                                   const std::string& origin);

[[nodiscard]] WebdatasetOptions ParseWebdatasetOptions(const Json& json, const std::string& origin);
[[nodiscard]] WebClassificationOptions ParseWebClassificationOptions(const Json& json,
                                                                     const std::string& origin);
/// Throws Failure(kUsage) unless every prompt has a {} for the name.
void CheckTemplates(const std::vector<std::string>& templates, const std::string& origin);
[[nodiscard]] WebRetrievalOptions ParseWebRetrievalOptions(const Json& json,
                                                           const std::string& origin);

/// Reader kinds known here. Others belong to trainers of the user's own.
[[nodiscard]] bool IsBuiltInKind(const std::string& kind);

/// Distinct pairs that a data set of `kind` with these options has: data_scale may not be larger.
/// Of fashion_scenes single items are what runs out: 60,000 images with at least six captions each.
/// How many shards hold is not known here.
[[nodiscard]] int64_t MostPairs(const std::string& kind, const Json& options);

/// DataSpec::options of `kind`, checked, with values equal to their frozen defaults left out: what
/// goes into a run's identity. Throws Failure(kUsage), also for an unknown kind.
[[nodiscard]] Json CanonicalDataOptions(const std::string& kind,
                                        const Json& options,
                                        const std::string& origin);

/// The same for EvaluationSpec::options of `kind` under `task`.
[[nodiscard]] Json CanonicalEvaluationOptions(const std::string& task,
                                              const std::string& kind,
                                              const Json& options,
                                              const std::string& origin);

}  // namespace sweep
