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

/// Distinct pairs that a data set of `kind` with these options has: data_scale may not be larger.
/// Single items are what runs out: 60,000 images with at least six captions each.
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
