#include "core/data_options.h"

#include <catch2/catch.hpp>

#include "core/failure.h"

namespace sweep {

TEST_CASE("CanonicalDataOptions drops values equal to their frozen defaults") {
  const Json options = {{"canvas", 28}, {"mismatch", 0.5}, {"max_items", 4}};
  CHECK(CanonicalDataOptions("fashion_scenes", options, "x") == Json{{"mismatch", 0.5}});
  CHECK(CanonicalDataOptions("fashion_scenes", Json::object(), "x") == Json::object());
}

TEST_CASE("CanonicalEvaluationOptions knows each task's options") {
  const Json templates = {{"templates", FashionClassificationOptions().templates}};
  CHECK(CanonicalEvaluationOptions("zeroshot_classification", "fashion_scenes", templates, "x") ==
        Json::object());
  const Json captions = {{"captions_per_image", 3}, {"min_items", 2}};
  CHECK(CanonicalEvaluationOptions("zeroshot_retrieval", "fashion_scenes", captions, "x") ==
        Json{{"captions_per_image", 3}});
}

TEST_CASE("Options that cannot be are refused with the field, the value and what was expected") {
  CHECK_THROWS_WITH(
      CanonicalDataOptions("fashion_scenes", {{"mismatch", 1.5}}, "sweep.json"),
      Catch::Contains("sweep.json: mismatch is 1.5") && Catch::Contains("a share in [0, 1]"));
  CHECK_THROWS_WITH(CanonicalDataOptions("fashion_scenes", {{"mismach", 0.5}}, "x"),
                    Catch::Contains("'mismach' is not known"));
  CHECK_THROWS_WITH(CanonicalDataOptions("fashion_scenes", {{"max_items", 5}}, "x"),
                    Catch::Contains("max_items is 5"));
  CHECK_THROWS_WITH(CanonicalDataOptions("laion", Json::object(), "x"),
                    Catch::Contains("data kind is 'laion', expected fashion_scenes"));
  CHECK_THROWS_WITH(CanonicalEvaluationOptions("zeroshot_classification",
                                               "fashion_scenes",
                                               Json{{"templates", Json::array({"a photo"})}},
                                               "x"),
                    Catch::Contains("a text with {}"));
}

TEST_CASE("Options of shards: defaults are left out, and what cannot be is refused") {
  const Json options = {{"seed", 0}, {"least_area", 0.9}, {"resampled", true}, {"weights", {1, 2}}};
  CHECK(CanonicalDataOptions("webdataset", options, "x") ==
        Json{{"resampled", true}, {"weights", {1.0, 2.0}}});
  const auto refused = [](const Json& wrong, const char* message) {
    CHECK_THROWS_WITH(CanonicalDataOptions("webdataset", wrong, "x"), Catch::Contains(message));
  };
  refused({{"least_area", 0}}, "least_area is 0, expected a share in (0, 1]");
  refused({{"seed", -1}}, "seed is -1");
  refused({{"weights", {1}}}, "weights is [1], expected none unless resampled is true");
  refused({{"resampled", true}, {"weights", {1, 0}}}, "expected positive numbers");
  CHECK_THROWS_WITH(CanonicalEvaluationOptions("zeroshot_classification",
                                               "webdataset",
                                               Json{{"templates", Json::array({"a photo"})}},
                                               "x"),
                    Catch::Contains("a text with {}"));
  CHECK(CanonicalEvaluationOptions(
            "zeroshot_classification", "webdataset", {{"templates", Json::array()}}, "x") ==
        Json::object());
  CHECK(CanonicalEvaluationOptions(
            "zeroshot_retrieval", "webdataset", {{"captions_per_image", 5}}, "x") ==
        Json::object());
}

}  // namespace sweep
