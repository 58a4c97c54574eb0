#include <catch2/catch.hpp>
#include <cmath>

#include "core/json.h"
#include "tests/support/sweep_program.h"

using namespace sweep;

namespace {

// Profiles of the quickstart's own small models' scale, in FLOPs = 6 N D.
std::string Runs() {
  std::string table = "params,flops,loss\n";
  for (const double c : {1e13, 3e13, 1e14, 3e14, 1e15}) {
    for (int k = -3; k <= 3; ++k) {
      const double n = 2.1e5 * std::sqrt(c / 1e13) * std::pow(1.6, k);
      const double d = c / (6 * n);
      char line[128];
      std::snprintf(line,
                    sizeof line,
                    "%.17g,%.17g,%.17g\n",
                    n,
                    c,
                    0.5 + 20 * std::pow(n, -0.3) + 40 * std::pow(d, -0.3));
      table += line;
    }
  }
  return table;
}

const std::string kAllocate =
    "allocate --table runs.csv --map N=params,D='flops/(6*N)',L=loss --intervals bootstrap:100 ";

}  // namespace

TEST_CASE("sweep allocate gives size and data for a budget by all approaches") {
  const SweepProgram sweep;
  sweep.Write("runs.csv", Runs());
  const Ended ended = sweep(kAllocate + "--budget 1e16,1e17 --json");
  REQUIRE(ended.code == 0);
  const Json json = Json::parse(ended.out);
  CHECK(json.at("schema") == "sweep.allocate/1");
  REQUIRE(json.at("approaches").size() == 3);
  const Json& parametric = json.at("approaches").at(0);
  CHECK(parametric.at("exponent_n").at("value").get<double>() == Approx(0.5).epsilon(1e-5));
  CHECK(parametric.at("targets").size() == 2);
  const double n = parametric.at("targets").at(0).at("N").at("value");
  const double d = parametric.at("targets").at(0).at("D").at("value");
  CHECK(6 * n * d == Approx(1e16));
  CHECK(json.at("approaches").at(1).at("design_bias").is_number());
  CHECK_THAT(sweep(kAllocate).out, Catch::Contains("bias of this design"));
}

TEST_CASE("The sweep file that allocate writes passes sweep validate and replaces nothing") {
  const SweepProgram sweep;
  sweep.Write("runs.csv", Runs());
  const std::string like = std::string(SWEEP_SOURCE_DIR) + "/sweeps/quickstart.json";
  const std::string write = kAllocate + "--budget 1e17 --write next.json --models 3 --like " + like;
  const Ended ended = sweep(write);
  CAPTURE(ended.err);
  REQUIRE(ended.code == 0);
  CHECK_THAT(ended.out, Catch::Contains("a run at this budget for each of"));
  const Ended valid = sweep("validate next.json --json");
  CHECK(valid.code == 0);
  const Json plan = Json::parse(sweep("plan next.json --json").out);
  CHECK(plan.at("total_runs") == 6);  // three models on the quickstart's two data sets
  for (const Json& run : plan.at("runs"))
    CHECK(run.at("train_flops").get<double>() == Approx(1e17).epsilon(0.01));
  CHECK(sweep(write).code == 2);
  CHECK(sweep(kAllocate + "--budget 1e17 --write other.json").code == 2);
  CHECK(sweep(kAllocate + "--budget 1e17 --write other.json --dataset nowhere").code == 2);
  const Ended plain = sweep(kAllocate +
                            "--budget 1e17 --write plain.json --dataset fashion_scenes "
                            "--batch 128 --learning-rate 2e-3");
  CAPTURE(plain.err);
  CHECK(plain.code == 0);
  CHECK(sweep("validate plain.json").code == 0);
}

TEST_CASE("sweep allocate refuses several groups, bad budgets and tables it cannot use") {
  const SweepProgram sweep;
  sweep.Write("runs.csv", Runs());
  CHECK(sweep(kAllocate + "--budget none").code == 2);
  CHECK(sweep(kAllocate + "--by params").code == 2);
  CHECK(sweep("allocate --table runs.csv --map N=params,L=loss").code == 2);
  CHECK(sweep(kAllocate + "--where 'flops<1'").code == 6);
}

TEST_CASE("sweep multiverse prints, draws and returns the specification curve") {
  const SweepProgram sweep;
  const std::string words = "multiverse openai laion --where eval_dataset=imagenet1k ";
  const Ended text = sweep(words + "--svg curve.svg");
  REQUIRE(text.code == 0);
  CHECK_THAT(text.out, Catch::Contains("216 specifications") && Catch::Contains("sign flips in"));
  CHECK_THAT(ReadFile(sweep.folder() / "curve.svg"), Catch::StartsWith("<svg"));
  const Json json = Json::parse(sweep(words + "--json --laws power --losses squared").out);
  CHECK(json.at("schema") == "sweep.multiverse/1");
  const Json& one = json.at("multiverses").at(0);
  CHECK(one.at("specifications").size() == 36);
  CHECK(one.at("summaries").size() == 3);
  double last = -1e9;
  for (const Json& specification : one.at("specifications")) {
    CHECK(specification.at("difference").get<double>() >= last);
    last = specification.at("difference");
  }
  CHECK(sweep("multiverse openai laion --svg all.svg").code == 2);
}
