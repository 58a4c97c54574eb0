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

}  // namespace sweep
