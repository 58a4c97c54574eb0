#include "fit/multiverse.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"
#include "published_points.h"
#include "simulated_points.h"

using namespace sweep;

namespace {

PointTable ImageNet(bool openai) {
  return PublishedPoints(
      "clip_zeroshot.csv", openai, {{"eval_dataset", "imagenet1k"}, {"metric", "acc1"}});
}

const Specification& Find(const Multiverse& multiverse,
                          const std::map<std::string, std::string>& choices) {
  for (const Specification& specification : multiverse.specifications) {
    bool all = true;
    for (const auto& [factor, choice] : choices)
      all = all && specification.choices.at(factor) == choice;
    if (all) return specification;
  }
  throw std::runtime_error("no such specification");
}

}  // namespace

TEST_CASE("A multiverse contains the published recipes and says how the slope depends on them") {
  const Multiverse multiverse = RunMultiverse(
      {{"openai", {{"C", ImageNet(true)}}}, {"laion", {{"C", ImageNet(false)}}}}, {}, {});
  CHECK(multiverse.specifications.size() == 216);
  const std::map<std::string, std::string> plain = {
      {"loss", "squared"}, {"residual", "log"}, {"law", "power"}, {"drop", "0"}};
  const auto laion = [&](const char* select) {
    auto choices = plain;
    choices["select"] = select;
    return Find(multiverse, choices).outcomes[1].alpha;
  };
  CHECK(laion("binned:5") == Approx(-0.1113884914).epsilon(1e-8));
  CHECK(std::abs(laion("pareto") + 0.1110) < 5e-5);
  CHECK(std::abs(laion("all") + 0.1012) < 5e-5);
  // Three points have no choice of selection: the OpenAI curve is the same under all of them.
  CHECK(Find(multiverse, {{"select", "pareto"}, {"drop", "2"}}).outcomes[0].n == 3);
  REQUIRE(multiverse.summaries.size() == 3);
  CHECK(multiverse.summaries[2].reference == Approx(-0.1637746905 + 0.1012).margin(5e-5));
  CHECK(multiverse.summaries[2].flipped < 0.1);
}

TEST_CASE("Factors explain shares of the variance, and sign flips are counted") {
  // An outlier of little compute decides the sign: dropping it flips the slope.
  PointTable points =
      Simulate("C", LogSpaced(1e6, 1e10, 10), [](double c) { return std::pow(c, 0.02); });
  points.y[0] *= 4;
  MultiverseChoices choices;
  choices.select = {"all"};
  choices.loss = {"squared"};
  choices.residual = {"log"};
  choices.law = {"power"};
  const Multiverse multiverse = RunMultiverse({{"a", {{"C", points}}}}, choices, {});
  REQUIRE(multiverse.summaries.size() == 1);
  const MultiverseSummary& summary = multiverse.summaries[0];
  CHECK(summary.specifications == 3);
  CHECK(summary.reference < 0);
  CHECK(summary.flipped == Approx(2.0 / 3));
  REQUIRE(summary.effects.size() == 1);
  CHECK(summary.effects[0].factor == "drop");
  CHECK(summary.effects[0].share == Approx(1));
}

TEST_CASE("Another definition of compute is a factor of its own") {
  PointTable points =
      Simulate("C", LogSpaced(1e6, 1e10, 10), [](double c) { return std::pow(c, -0.1); });
  PointTable other = points;
  for (double& c : other.columns[0]) c = std::pow(c, 0.5);
  MultiverseChoices choices;
  choices.select = {"all"};
  choices.drop = {"0"};
  const Multiverse multiverse =
      RunMultiverse({{"a", {{"macs", points}, {"root", other}}}}, choices, {});
  CHECK(multiverse.summaries[0].effects.front().factor == "compute");
  const std::string svg = SpecificationCurveSvg(multiverse, "a & b");
  CHECK_THAT(
      svg,
      Catch::StartsWith("<svg") && Catch::Contains("a &amp; b") && Catch::Contains("compute root"));
}
