#include <catch2/catch.hpp>

#include "core/failure.h"
#include "orchestrator/sweep_file/located_json.h"
#include "orchestrator/sweep_file/quantity.h"

namespace sweep {
namespace {

std::string ProblemsOf(const std::string& text) {
  ProblemList problems;
  (void)ParseLocatedJson(text, "f.json", problems);
  std::string all;
  for (const FileProblem& problem : problems.all()) all += FormatProblem(problem) + "\n";
  return all;
}

}  // namespace

TEST_CASE("ParseLocatedJson knows where members, elements and nested values stand") {
  ProblemList problems;
  const LocatedJson json =
      ParseLocatedJson("{\n  \"a\": [1,\n    22\n  ,\n\"x\"],\n  \"b/c\": {\"d\" :\n true}\n}\n",
                       "f.json",
                       problems);
  CHECK_FALSE(problems.has_errors());
  CHECK(json.value() == Json::parse(R"({"a": [1, 22, "x"], "b/c": {"d": true}})"));
  CHECK(json.PositionOf("") == SourcePosition{1, 1});
  CHECK(json.PositionOf("/a") == SourcePosition{2, 3});
  CHECK(json.PositionOf("/a/0") == SourcePosition{2, 9});
  CHECK(json.PositionOf("/a/1") == SourcePosition{3, 5});
  CHECK(json.PositionOf("/a/2") == SourcePosition{5, 1});
  CHECK(json.PositionOf("/b~1c/d") == SourcePosition{6, 11});
  CHECK(json.PositionOf("/b~1c/missing/deeper") == SourcePosition{6, 3});
}

TEST_CASE("ParseLocatedJson reports every duplicate key with both lines") {
  CHECK(ProblemsOf("{\"a\": 1,\n\"a\": 2,\n\"b\": {\"c\": 1, \"c\": 2}}") ==
        "f.json:2: /a: key 'a' is given twice in one object, first in line 1\n"
        "f.json:3: /b/c: key 'c' is given twice in one object, first in line 3\n");
}

TEST_CASE("ParseLocatedJson says where the syntax breaks") {
  CHECK_THAT(ProblemsOf("{\n  \"a\": 1,\n}"),
             Catch::StartsWith("f.json:3: column 1: not valid JSON"));
  CHECK_THAT(ProblemsOf("[1,\n2 3]"), Catch::StartsWith("f.json:2: column 3: not valid JSON"));
  CHECK_THAT(ProblemsOf(""), Catch::StartsWith("f.json:1: column 1: not valid JSON"));
  CHECK_THAT(ProblemsOf("[1e999]"), Catch::Contains("not valid JSON"));
  CHECK_THAT(ProblemsOf(std::string(100000, '[')), Catch::Contains("nested more than 64 deep"));
}

TEST_CASE("ParseQuantity takes digits and suffixes at their word") {
  CHECK(ParseQuantity("12.8B")->integer == 12'800'000'000);
  CHECK(ParseQuantity("407M")->integer == 407'000'000);
  CHECK(ParseQuantity("128k")->integer == 128'000);
  CHECK(ParseQuantity("1.5e9")->integer == 1'500'000'000);
  CHECK(ParseQuantity("9223372036854775807")->integer == INT64_MAX);
  CHECK(ParseQuantity("84 * 407332084")->integer == 34'215'895'056);
  CHECK(ParseQuantity("2×3 × 4")->integer == 24);
  CHECK(ParseQuantity("0.1")->value == 0.1);
  CHECK(ParseQuantity("-2k")->integer == -2000);
  CHECK_FALSE(ParseQuantity("1.5")->integer);
  CHECK(ParseQuantity("n:x", {{"n:x", {7, "source"}}})->integer == 7);
}

TEST_CASE("ParseQuantity refuses what is not a number") {
  const std::string bad = GENERATE(as<std::string>(),
                                   "",
                                   " ",
                                   "B",
                                   "12.8G",
                                   "1 2",
                                   "1kM",
                                   "--1",
                                   "1e",
                                   "1e99999",
                                   "*",
                                   "2*",
                                   "nan",
                                   "inf",
                                   "0x10",
                                   "1.2.3",
                                   "n:x",
                                   "9223372036854775807 * 2");
  CAPTURE(bad);
  CHECK_FALSE(ParseQuantity(bad));
}

TEST_CASE("ParseDurationSeconds reads units of time") {
  CHECK(ParseDurationSeconds("90") == 90);
  CHECK(ParseDurationSeconds("90s") == 90);
  CHECK(ParseDurationSeconds("1.5 h") == 5400);
  CHECK(ParseDurationSeconds("30min") == 1800);
  CHECK(ParseDurationSeconds("2d") == 172800);
  CHECK_FALSE(ParseDurationSeconds("2 weeks"));
  CHECK_FALSE(ParseDurationSeconds("h"));
}

TEST_CASE("DidYouMean finds near names and leaves far ones alone") {
  CHECK(DidYouMean("modle", {"dataset", "model"}) == "; did you mean 'model'?");
  CHECK(DidYouMean("fashion-scenes", {"fashion_scenes"}) == "; did you mean 'fashion_scenes'?");
  CHECK(DidYouMean("vit-b-32", {"ViT-B-32", "ViT-B-16"}) == "; did you mean 'ViT-B-32'?");
  CHECK(DidYouMean("zebra", {"model", "seed"}).empty());
}

TEST_CASE("ProblemList throws every error once, and no warnings") {
  ProblemList problems;
  const LocatedJson json(Json::object(), "f.json");
  problems.Add(json.Warning("/a", "odd"));
  CHECK_NOTHROW(problems.ThrowIfErrors());
  problems.Add(json.Error("/a", "wrong"));
  problems.Add(json.Error("/a", "wrong"));
  problems.Add(json.Error("/b", "wrong too"));
  CHECK(problems.errors() == 2);
  CHECK_THROWS_WITH(problems.ThrowIfErrors(), "f.json:1: /a: wrong\nf.json:1: /b: wrong too");
}

}  // namespace sweep
