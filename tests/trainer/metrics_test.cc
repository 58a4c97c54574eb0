#include "trainer/metrics.h"

#include <catch2/catch.hpp>

#include "core/json.h"
#include "tests/trainer/golden_folder.h"

namespace sweep {

TEST_CASE("acc1, acc5 and mean per-class recall of a case worked by hand") {
  const std::vector<float> logits = {
      .9F, .1F, .0F, .0F, .0F, .0F,  // class 0 first: right
      .5F, .4F, .0F, .0F, .0F, .0F,  // label 1 is second
      .6F, .5F, .4F, .3F, .2F, .1F,  // label 5 is last
      .0F, .0F, .7F, .0F, .0F, .0F,  // right
  };
  const std::vector<int64_t> labels = {0, 1, 5, 2};
  const Metrics metrics = ClassificationMetrics(logits, labels, 6);
  CHECK(metrics.at("acc1").value == 0.5);
  CHECK(metrics.at("acc5").value == 0.75);
  CHECK(metrics.at("mean_per_class_recall").value == 0.5);  // (1 + 0 + 0 + 1) / 4 classes
  CHECK(metrics.at("acc1").sample_size == 4);
}

TEST_CASE("Mean per-class recall weighs classes, not images") {
  const std::vector<float> logits = {1, 0, 1, 0, 1, 0, 1, 0};
  const std::vector<int64_t> labels = {0, 0, 0, 1};
  const Metrics metrics = ClassificationMetrics(logits, labels, 2);
  CHECK(metrics.at("acc1").value == 0.75);
  CHECK(metrics.at("mean_per_class_recall").value == 0.5);
}

TEST_CASE("Mean average precision of a case worked by hand, with ties") {
  // Class 0's images rank first and third (a tie: the smaller number first), class 1's second and
  // fourth by their own column; class 2 does not occur.
  const std::vector<float> logits = {.9F, .1F, 9, .5F, .7F, 9, .5F, .8F, 9, .2F, .1F, 9};
  const std::vector<int64_t> labels = {0, 1, 0, 1};
  const double expected = ((1.0 + 2.0 / 3) / 2 + (1.0 / 2 + 2.0 / 4) / 2) / 2;
  CHECK(ClassificationMetrics(logits, labels, 3).at("mean_average_precision").value ==
        Approx(expected));
}

TEST_CASE("Among equal logits the smaller class number comes first") {
  const std::vector<float> logits = {.5F, .5F, .5F, .5F};
  const std::vector<int64_t> labels = {0, 1};
  CHECK(ClassificationMetrics(logits, labels, 2).at("acc1").value == 0.5);
}

TEST_CASE("Retrieval recalls of a case worked by hand, with ties") {
  // Two images, two captions each; rows are captions.
  const std::vector<float> similarity = {
      .9F,
      .1F,  // caption 0 of image 0: right
      .2F,
      .8F,  // caption 1 of image 0: its image is second
      .5F,
      .5F,  // caption 2 of image 1: a tie, image 0 comes first
      .3F,
      .4F,  // caption 3 of image 1: right
  };
  const Metrics metrics = RetrievalMetrics(similarity, 2, 2);
  CHECK(metrics.at("image_retrieval_recall@1").value == 0.5);
  CHECK(metrics.at("image_retrieval_recall@5").value == 1);
  CHECK(metrics.at("image_retrieval_recall@1").sample_size == 4);
  // Image 0's most similar caption is 0 (.9): right. Image 1's is caption 1 (.8): wrong.
  CHECK(metrics.at("text_retrieval_recall@1").value == 0.5);
  CHECK(metrics.at("text_retrieval_recall@1").sample_size == 2);
}

TEST_CASE("Metrics equal CLIP_benchmark 1.6.2 on random scores", "[golden]") {
  const Json golden = ReadJsonFile((GoldenFolder() / "metrics.json").string());
  const Json& c = golden.at("classification");
  const auto logits = c.at("logits").get<std::vector<float>>();
  const auto labels = c.at("labels").get<std::vector<int64_t>>();
  const Metrics classification = ClassificationMetrics(logits, labels, c.at("classes"));
  for (const auto& [name, expected] : c.at("expected").items())
    CHECK(classification.at(name).value == Approx(expected.get<double>()).epsilon(1e-6));
  const Json& r = golden.at("retrieval");
  const auto similarity = r.at("similarity").get<std::vector<float>>();
  const Metrics retrieval =
      RetrievalMetrics(similarity, r.at("images"), r.at("captions_per_image"));
  for (const auto& [name, expected] : r.at("expected").items())
    CHECK(retrieval.at(name).value == Approx(expected.get<double>()).epsilon(1e-6));
}

}  // namespace sweep
