// Forecasts: sealed before the result, scored after it, and what tampering does.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>

#include "core/json.h"
#include "tests/support/sweep_program.h"

using namespace sweep;

namespace {

// error = 20 C^-0.12 with a little noise, up to a compute.
std::string Runs(double most, double factor = 1) {
  std::string table = "flops,err\n";
  for (int i = 0; i < 13; ++i) {
    const double c = 1e18 * std::pow(10, 0.5 * i);
    if (c > most) break;
    const double noise = 1 + 0.01 * ((i * 5) % 7 - 3);
    const double last = c > 0.9e22 ? factor : 1;
    char line[96];
    std::snprintf(line, sizeof line, "%.17g,%.17g\n", c, 20 * std::pow(c, -0.12) * noise * last);
    table += line;
  }
  return table;
}

const std::string kSeal =
    "--store s forecast --seal --table t.csv --map C=flops,E=err --at C=1e22 ";

Json List(const SweepProgram& sweep) {
  return Json::parse(sweep("--store s forecast list --json").out);
}

std::filesystem::path OnlyForecast(const SweepProgram& sweep) {
  for (const auto& entry : std::filesystem::directory_iterator(sweep.folder() / "s/forecasts"))
    if (entry.is_regular_file()) return entry.path();
  throw std::runtime_error("no forecast");
}

}  // namespace

TEST_CASE("A forecast is sealed, waits, and is scored when the result comes") {
  const SweepProgram sweep;
  sweep.Write("t.csv", Runs(1e21));
  REQUIRE(sweep(kSeal + "--name big").code == 0);
  CHECK(List(sweep).at("forecasts").at(0).at("state") == "waiting");
  REQUIRE(sweep("--store s forecast --score --table t.csv").code == 0);
  CHECK(List(sweep).at("record").at("scored") == 0);
  sweep.Write("t.csv", Runs(1e22));
  const Ended scored = sweep("--store s forecast --score --table t.csv");
  REQUIRE(scored.code == 0);
  CHECK_THAT(scored.out, Catch::Contains("hit") && Catch::Contains("1 of 1 intervals"));
  const Json list = List(sweep);
  CHECK(list.at("forecasts").at(0).at("state") == "hit");
  CHECK(list.at("record").at("coverage_low").get<double>() ==
        Approx(0.025));  // 1 of 1, Clopper–Pearson
  // Scoring again changes nothing.
  REQUIRE(sweep("--store s forecast --score --table t.csv").code == 0);
  CHECK(List(sweep) == list);
}

TEST_CASE("A result outside the interval is a miss and stays in the record") {
  const SweepProgram sweep;
  sweep.Write("t.csv", Runs(1e21));
  REQUIRE(sweep(kSeal).code == 0);
  sweep.Write("t.csv", Runs(1e22, 1.5));
  REQUIRE(sweep("--store s forecast --score --table t.csv").code == 0);
  const Json list = List(sweep);
  CHECK(list.at("forecasts").at(0).at("state") == "miss");
  CHECK(list.at("record").at("hits") == 0);
}

TEST_CASE("Sealing after the result exists is refused, also when a filter hides it") {
  const SweepProgram sweep;
  sweep.Write("t.csv", Runs(1e22));
  const Ended refused = sweep(kSeal);
  CHECK(refused.code == 6);
  CHECK_THAT(refused.err, Catch::Contains("the result exists") && Catch::Contains("line 10"));
  CHECK(sweep(kSeal + "--where 'flops<9e21'").code == 6);
  CHECK(!std::filesystem::exists(sweep.folder() / "s/forecasts"));
}

TEST_CASE("One changed byte shows, and so does a forecast taken away") {
  const SweepProgram sweep;
  sweep.Write("t.csv", Runs(1e21));
  REQUIRE(sweep(kSeal).code == 0);
  const std::filesystem::path file = OnlyForecast(sweep);
  const std::string bytes = ReadFile(file);
  for (std::size_t at = 0; at < bytes.size(); at += 997) {
    std::string changed = bytes;
    changed[at] = changed[at] == '1' ? '2' : '1';
    WriteFileAtomic(file, changed);
    const Ended list = sweep("--store s forecast list");
    CHECK(list.code == 7);
    CHECK_THAT(list.out, Catch::Contains("CHANGED"));
  }
  WriteFileAtomic(file, bytes);
  CHECK(sweep("--store s forecast list").code == 0);
  REQUIRE(sweep(kSeal + "--name second --level 0.8").code == 0);
  std::filesystem::remove(file);
  const Ended gone = sweep("--store s forecast list");
  CHECK(gone.code == 7);
  CHECK_THAT(gone.out, Catch::Contains("MISSING"));
}

TEST_CASE("forecast needs one act, one target and one group") {
  const SweepProgram sweep;
  sweep.Write("t.csv", Runs(1e21));
  CHECK(sweep("--store s forecast").code == 2);
  CHECK(sweep("--store s forecast --seal --list").code == 2);
  CHECK(sweep("--store s forecast --seal --table t.csv --map C=flops,E=err").code == 2);
  CHECK(sweep(kSeal + "--by flops").code == 2);
  CHECK(sweep("--store s forecast list").code == 0);
}

TEST_CASE("predict averages over laws, chains two of them and warns of repeated data") {
  const SweepProgram sweep;
  std::string table = "flops,loss,acc,params,samples,data_scale\n";
  for (int i = 0; i < 16; ++i) {
    const double c = 1e18 * std::pow(10, 0.25 * i);
    const double loss = 1.8 + 900 * std::pow(c, -0.16) * (1 + 0.004 * ((i * 5) % 7 - 3));
    char line[160];
    std::snprintf(line,
                  sizeof line,
                  "%.17g,%.17g,%.17g,%d,%d,1000000\n",
                  c,
                  loss,
                  0.9 - 0.8 / (1 + std::pow(loss / 2.5, -8)),
                  1000 * (1 + i % 4),
                  100000 * (1 + i));
    table += line;
  }
  sweep.Write("t.csv", table);
  const auto predict = [&](const std::string& words) {
    const Ended ended = sweep("predict --table t.csv --json " + words);
    CAPTURE(ended.err);
    REQUIRE(ended.code == 0);
    return Json::parse(ended.out).at("predictions").at(0).at("predictions").at(0);
  };
  const Json averaged = predict("--map C=flops,L=loss --law auto --at C=1e23").at("averaged");
  CHECK(averaged.at("laws").size() >= 3);
  CHECK(averaged.at("low").get<double>() < averaged.at("value").get<double>());
  const Json chain =
      predict(
          "--map C=flops,L=loss --law power_floor --then sigmoid --then-map E='1-acc' --at C=1e22")
          .at("then");
  const double loss = 1.8 + 900 * std::pow(1e22, -0.16);
  CHECK(chain.at("value").get<double>() ==
        Approx(0.1 + 0.8 / (1 + std::pow(loss / 2.5, -8))).epsilon(0.05));
  CHECK(chain.at("low").get<double>() < chain.at("value").get<double>());
  const Json repeated =
      predict("--map N=params,D=samples,L=loss --law chinchilla --at N=4000,D=9e6");
  CHECK_THAT(repeated.at("repetition_warning").get<std::string>(), Catch::Contains("9.0 times"));
  CHECK(!predict("--map N=params,D=samples,L=loss --law chinchilla --at N=4000,D=2e6")
             .contains("repetition_warning"));
  CHECK(
      sweep(
          "predict --table t.csv --map C=flops,L=loss --then chinchilla --then-map E=acc --at C=1")
          .code == 2);
}
