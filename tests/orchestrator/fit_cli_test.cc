// `sweep fit`, `compare`, `predict` and `laws` as processes: the interface that scripts stand on.
#include <catch2/catch.hpp>
#include <chrono>

#include "core/json.h"
#include "tests/support/sweep_program.h"

using namespace sweep;

namespace {

const std::string kPublished =
    std::string(SWEEP_SOURCE_DIR) + "/sweeps/published/clip_zeroshot.csv";

const Json& Comparison(const Json& json, const std::string& set) {
  for (const Json& cell : json.at("comparisons")) {
    if (cell.at("eval_dataset") == set) return cell;
  }
  throw std::runtime_error("no " + set);
}

}  // namespace

TEST_CASE("sweep compare openai laion works without a store and prints the published exponents") {
  const SweepProgram sweep;
  const auto begin = std::chrono::steady_clock::now();
  const Ended text = sweep("compare openai laion");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  REQUIRE(text.code == 0);
  CHECK(text.err.empty());
  for (const char* alpha : {"-0.1638", "-0.1114", "-0.0508", "-0.0794"})
    CHECK_THAT(text.out, Catch::Contains(alpha));
  CHECK_THAT(text.out,
             Catch::Contains("openai is steeper") && Catch::Contains("laion is steeper") &&
                 Catch::Contains("matched"));
  CHECK_THAT(
      text.out,
      Catch::Contains("model (3); held: samples_seen 12800000000, pretraining_dataset CLIP-WIT"));
  CHECK(seconds.count() <
        2);  // 0.2 s is the aim, measured in docs/fitting.md; a test machine may be busy
}

TEST_CASE(
    "sweep compare --json carries fits, Welch's test, adjusted p-values and the matched "
    "comparison") {
  const Ended ended = SweepProgram()("compare openai laion --json --at-compute 1e12");
  REQUIRE(ended.code == 0);
  const Json json = Json::parse(ended.out);
  CHECK(json.at("schema") == "sweep.compare/1");
  const Json& pair = Comparison(json, "imagenet_robustness").at("pairs").at(0);
  CHECK(pair.at("p").get<double>() == Approx(0.005).margin(5e-4));
  CHECK(pair.at("p_adjusted").get<double>() == Approx(5 * pair.at("p").get<double>()));
  CHECK(pair.at("matched").at("cells").size() == 3);
  CHECK(pair.at("probability_first_better").get<double>() > 0.9);
  const Json& laion = Comparison(json, "imagenet1k").at("curves").at(1);
  CHECK(laion.at("fit").at("select") == "binned:5");
  CHECK(laion.at("fit").at("excluded").size() == 24);
}

TEST_CASE("sweep fit --table fits mapped columns by group and keeps the frozen keys") {
  const Ended ended = SweepProgram()(
      "fit --table " + kPublished +
      " --map C=compute_gmacs,E='1-value' --where metric=acc1 --where pretraining_dataset=CLIP-WIT"
      " --by eval_dataset --law power --json");
  REQUIRE(ended.code == 0);
  const Json json = Json::parse(ended.out);
  CHECK(json.at("schema") == "sweep.fit/1");
  REQUIRE(json.at("fits").size() == 3);
  const Json& fit = json.at("fits").at(0);
  CHECK(fit.at("group") == Json{{"eval_dataset", "imagenet1k"}});
  CHECK(fit.at("estimates").at("alpha").at("value").get<double>() ==
        Approx(-0.1637746905).epsilon(1e-9));
  for (const char* key : {"law",
                          "n",
                          "objective",
                          "residual",
                          "loss",
                          "starts",
                          "starts_polished",
                          "starts_at_best",
                          "active_bounds",
                          "condition_number",
                          "excluded",
                          "warnings"}) {
    CHECK(fit.contains(key));
  }
  CHECK(fit.at("starts_at_best") == fit.at("starts_polished"));
}

TEST_CASE("sweep fit refuses percentages with exit code 6 and the hint, on stderr") {
  const SweepProgram sweep;
  sweep.Write("t.csv", "c,err\n1e8,60\n1e9,50\n1e10,40\n");
  const Ended ended = sweep("fit --table t.csv --map C=c,E=err");
  CHECK(ended.code == 6);
  CHECK_THAT(ended.err, Catch::Contains("E='err/100'") && Catch::Contains("line 2"));
  CHECK(sweep("fit --table t.csv --map C=c,E='err/100'").code == 0);
}

TEST_CASE("sweep fit with wrong words ends with code 2") {
  const SweepProgram sweep;
  sweep.Write("t.csv", "c,err\n1e8,0.6\n1e9,0.5\n1e10,0.4\n");
  for (const char* words : {"--law powre",
                            "--loss huber",
                            "--select some",
                            "--fix gamma=1",
                            "--bounds alpha=1",
                            "--level 2",
                            "--where 'x>1'",
                            "--starts many",
                            "--by family"}) {
    CAPTURE(words);
    const Ended ended = sweep(std::string("fit --table t.csv --map C=c,E=err ") + words);
    CHECK(ended.code == 2);
    CHECK_THAT(ended.err, Catch::StartsWith("sweep: "));
  }
  CHECK(sweep("fit").code == 2);
}

TEST_CASE("sweep predict says value, interval and distance from the data") {
  const Ended ended = SweepProgram()(
      "predict --table " + kPublished +
      " --map C=compute_gmacs,E='1-value' --where metric=acc1 --where eval_dataset=imagenet1k"
      " --where pretraining_dataset!=CLIP-WIT --select binned:5 --at C=6534130295478.96 --json");
  REQUIRE(ended.code == 0);
  const Json prediction = Json::parse(ended.out).at("predictions").at(0).at("predictions").at(0);
  CHECK(100 * (1 - prediction.at("value").get<double>()) == Approx(78.1078).margin(5e-5));
  CHECK(prediction.at("low").get<double>() < prediction.at("value").get<double>());
  CHECK(prediction.at("beyond").at("C").get<double>() > 1);
  CHECK(prediction.at("interval_method") == "bootstrap:1000:pairs");
}

TEST_CASE("sweep predict has the interval that --intervals asks for") {
  const SweepProgram sweep;
  sweep.Write("t.csv", "c,loss\n1,1.51\n3,1.27\n10,1.02\n30,0.88\n100,0.74\n300,0.69\n1000,0.61\n");
  const auto predict = [&](const std::string& words) {
    const Ended ended = sweep(
        "predict --table t.csv --map C=c,L=loss --law power_floor --at C=1e6 --json " + words);
    REQUIRE(ended.code == 0);
    return Json::parse(ended.out).at("predictions").at(0).at("predictions").at(0);
  };
  const Json profile = predict(""), t = predict("--intervals t");
  CHECK(profile.at("interval_method") == "profile");
  CHECK(t.at("interval_method") == "t");
  CHECK(profile.at("value") == t.at("value"));
  CHECK(profile.at("mean_low").get<double>() != t.at("mean_low").get<double>());
  CHECK(predict("--intervals bootstrap:100").at("interval_method") == "bootstrap:100:pairs");
  CHECK(predict("--loss lad").at("low").is_number());
  CHECK(predict("--intervals none").at("low").is_null());
}

TEST_CASE("Rows that --where leaves out may hold anything") {
  const SweepProgram sweep;
  sweep.Write("t.csv", "c,err,keep\n1e8,0.6,1\n1e9,62%,0\n1e10,0.42,1\n1e11,0.33,1\n");
  const Ended ended = sweep("fit --table t.csv --map C=c,E=err --where 'keep==1' --json");
  REQUIRE(ended.code == 0);
  CHECK(Json::parse(ended.out).at("fits").at(0).at("n") == 3);
  CHECK(sweep("fit --table t.csv --map C=c,E=err").code == 6);
}

TEST_CASE("sweep laws lists every law with its formula and source") {
  const Json json = Json::parse(SweepProgram()("laws --json").out);
  CHECK(json.at("schema") == "sweep.laws/1");
  for (const Json& law : json.at("laws")) {
    CHECK(!law.at("formula").get<std::string>().empty());
    CHECK(!law.at("source").get<std::string>().empty());
  }
}

TEST_CASE("Results do not depend on the number of threads") {
  const SweepProgram sweep;
  const std::string words =
      "fit --table " + kPublished +
      " --select binned:5 --where pretraining_dataset!=CLIP-WIT --json --threads ";
  const std::string one = sweep(words + "1").out;
  CHECK(one.size() > 1000);
  CHECK(one == sweep(words + "2").out);
  CHECK(one == sweep(words + "7").out);
}
