// Tables that nobody has seen before, and what to do with the coefficients: `sweep fit` as scripts
// and papers use it.
#include <catch2/catch.hpp>
#include <cmath>

#include "core/json.h"
#include "tests/support/sweep_program.h"

using namespace sweep;

namespace {

// y = 3 + 2e4 N^-0.4 + 5e3 D^-0.3 on a grid, under names that people give columns.
std::string AwkwardTable(const char* separator, const char* line_end) {
  const auto join = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (const std::string& cell : cells) line += (line.empty() ? "" : separator) + cell;
    return line + line_end;
  };
  std::string text = "\xEF\xBB\xBF" +
                     join({"Model Size (params)", "\"Tokens, total\"", "Test loss [nats]", "note"});
  for (const double n : {1e7, 1e8, 1e9, 1e10}) {
    for (const double d : {2e8, 2e9, 2e10}) {
      char cell[64];
      std::snprintf(
          cell, sizeof cell, "%.17E", 3 + 2e4 * std::pow(n, -0.4) + 5e3 * std::pow(d, -0.3));
      text += join({std::to_string(static_cast<long>(n)),
                    "\"" + std::to_string(static_cast<long>(d)) + "\"",
                    cell,
                    "\"a \"\"quoted\"\" note\""});
    }
  }
  return text;
}

const std::string kAwkwardMap =
    " --law chinchilla --map 'N=\"Model Size (params)\",D=\"Tokens, total\",L=\"Test loss "
    "[nats]\"'";

double Value(const Json& fit, const char* parameter) {
  return fit.at("estimates").at(parameter).at("value").get<double>();
}

const std::string kSmall =
    "c,err,fam\n1e8,0.6,a\n1e9,0.5,a\n1e10,0.42,a\n1e11,0.35,a\n1e12,0.29,a\n";

}  // namespace

TEST_CASE(
    "Any table with named columns fits: BOM, CRLF, quotes, spaces, brackets, semicolons, tabs") {
  const SweepProgram sweep;
  for (const char* separator : {",", ";", "\t"}) {
    for (const char* line_end : {"\n", "\r\n"}) {
      sweep.Write("t.csv", AwkwardTable(separator, line_end));
      const Ended ended = sweep("fit --table t.csv --json" + kAwkwardMap);
      REQUIRE(ended.code == 0);
      const Json fit = Json::parse(ended.out).at("fits").at(0);
      CHECK(Value(fit, "E") == Approx(3).epsilon(1e-6));
      CHECK(Value(fit, "alpha") == Approx(0.4).epsilon(1e-6));
      CHECK(Value(fit, "beta") == Approx(0.3).epsilon(1e-6));
    }
  }
}

TEST_CASE("A mapping that is a column's whole name needs no quotes of its own") {
  const SweepProgram sweep;
  sweep.Write("t.csv", "train FLOP (6ND),err-rate\n1e8,0.6\n1e9,0.5\n1e10,0.4\n");
  const Ended ended = sweep("fit --table t.csv --json --map C='train FLOP (6ND)' --map E=err-rate");
  CAPTURE(ended.err);
  CHECK(ended.code == 0);
  CHECK(sweep("fit --table t.csv --map 'C=train FLOP (6ND),E=err-rate'").code == 0);
}

TEST_CASE("Each kind of unusable cell ends with code 6 and names its line") {
  const SweepProgram sweep;
  struct Bad {
    const char* cell;
    const char* says;
  };
  for (const auto& [cell, says] : {Bad{"0", "must be an error"},
                                   Bad{"-0.1", "must be an error"},
                                   Bad{"nan", "must be an error"},
                                   Bad{"inf", "must be an error"},
                                   Bad{"1.5", "E='err/100'"},
                                   Bad{"42.7%", "without the sign"},
                                   Bad{"n.a.", "expected a number"}}) {
    CAPTURE(cell);
    sweep.Write("t.csv", kSmall + "1e13," + cell + ",a\n");
    const Ended ended = sweep("fit --table t.csv --map C=c,E=err");
    CHECK(ended.code == 6);
    CHECK_THAT(ended.err, Catch::Contains("line 7") && Catch::Contains(says));
  }
  sweep.Write("t.csv", "c,err\n1e9,0.5\n1e9,0.4\n1e9,0.3\n");
  CHECK(sweep("fit --table t.csv --map C=c,E=err").code == 6);
  sweep.Write("t.csv", "c,err\n1e9,0.5\n1e10,0.4\n");
  const Ended few = sweep("fit --table t.csv --map C=c,E=err --law power_floor");
  CHECK(few.code == 6);
  CHECK_THAT(few.err, Catch::Contains("3 parameters"));
}

TEST_CASE("Empty cells leave their row out, by model, with a word on what is missing") {
  const SweepProgram sweep;
  sweep.Write("t.csv", "c,err,model\n1e8,0.6,S\n1e9,0.5,M\n1e10,0.42,M\n1e11,,L\n1e12,NA,L\n");
  const Json fit =
      Json::parse(sweep("fit --table t.csv --map C=c,E=err --json").out).at("fits").at(0);
  CHECK(fit.at("n") == 3);
  CHECK(fit.at("excluded").size() == 2);
  CHECK_THAT(fit.at("warnings").dump(), Catch::Contains("by model: L (2)"));
}

TEST_CASE("Kinds of points are never mixed silently") {
  const SweepProgram sweep;
  sweep.Write("t.csv",
              "run,c,loss,point_kind\na,1e8,3.0,intermediate\na,1e9,2.5,final\n"
              "b,1e9,2.6,intermediate\nb,1e10,2.1,final\nc,1e11,1.8,final\nd,2e11,1.7,cooldown\n");
  const auto fit = [&](const std::string& words) {
    return Json::parse(sweep("fit --table t.csv --map C=c,L=loss --json " + words).out)
        .at("fits")
        .at(0);
  };
  CHECK(fit("").at("n") == 3);
  CHECK(fit("").at("excluded").size() == 3);
  CHECK(fit("--kind all").at("n") == 6);
  CHECK_THAT(
      fit("--kind all").at("warnings").dump(),
      Catch::Contains("different kinds are mixed: cooldown (1), final (3), intermediate (2)"));
  CHECK_THAT(fit("--kind intermediate").at("warnings").dump(), Catch::Contains("not independent"));
}

TEST_CASE("Compute counted in two ways is refused in one law") {
  const SweepProgram sweep;
  sweep.Write(
      "t.csv",
      "c,err,compute_definition\n1e8,0.6,macs\n1e9,0.5,macs\n1e10,0.4,flops\n1e11,0.3,flops\n");
  const Ended ended = sweep("fit --table t.csv --map C=c,E=err");
  CHECK(ended.code == 6);
  CHECK_THAT(ended.err,
             Catch::Contains("compute_definition") && Catch::Contains("'macs' (2 rows)"));
  CHECK(sweep("fit --table t.csv --map C=c,E=err --by compute_definition").code == 0);
}

TEST_CASE("Coefficients come as CSV, LaTeX, Python and C++") {
  const SweepProgram sweep;
  sweep.Write("t.csv", AwkwardTable(",", "\n"));
  const std::string fit = "fit --table t.csv" + kAwkwardMap + " --format ";
  CHECK_THAT(sweep(fit + "csv").out,
             Catch::StartsWith("law,parameter,value,low,high,") &&
                 Catch::Contains("\nchinchilla,alpha,0.4"));
  CHECK_THAT(sweep(fit + "latex").out, Catch::Contains(R"(y = 3 + 2 \times 10^{4} \, N^{-0.4})"));
  CHECK(sweep(fit + "word").code == 2);
}

// Every law that can be: its Python and C++ text gives what predict gives.
TEST_CASE("The Python and C++ formulas of every law give what predict gives") {
  const SweepProgram sweep;
  std::string table = "v,y\n";
  for (int i = 0; i < 14; ++i) {
    const double c = 1e6 * std::pow(4.0, i);
    table += std::to_string(c) + "," +
             std::to_string(0.2 + 0.7 / (1 + std::pow(c / 3e9, 0.6)) + 0.001 * (i % 3)) + "\n";
  }
  sweep.Write("one.csv", table);
  table = "n,d,b,u,t,y\n";
  for (int i = 0; i < 40; ++i) {
    const double n = 1e7 * std::pow(10.0, i % 4), d = 1e9 * std::pow(5.0, (i / 4) % 5);
    const double b = 1024 * std::pow(4.0, i % 3), u = 3e9, t = 17 + 20 * (i % 7);
    char line[256];
    std::snprintf(line,
                  sizeof line,
                  "%.17g,%.17g,%.17g,%.17g,%.17g,%.17g\n",
                  n,
                  d,
                  b,
                  u,
                  t,
                  1.5 + 300 * std::pow(n, -0.3) + 400 * std::pow(d, -0.28) + 3 * std::pow(b, -0.5) +
                      0.002 * (i % 5));
    table += line;
  }
  sweep.Write("many.csv", table);
  struct Case {
    std::string law, file, map, at, call;
  };
  std::vector<Case> cases;
  for (const char* law : {"power", "power_floor", "power_offset", "sigmoid"})
    cases.push_back({law, "one.csv", "C=v,L=y", "C=2.5e10", "2.5e10"});
  for (const char* law : {"bnsl1", "bnsl2", "m4"})
    cases.push_back({law, "one.csv", "x=v,L=y", "x=2.5e10", "2.5e10"});
  for (const char* law : {"chinchilla", "kaplan"})
    cases.push_back({law, "many.csv", "N=n,D=d,L=y", "N=3e8,D=4e10", "3e8, 4e10"});
  cases.push_back(
      {"data_constrained", "many.csv", "N=n,D=d,U=u,L=y", "N=3e8,D=4e10,U=3e9", "3e8, 4e10, 3e9"});
  cases.push_back(
      {"joint_batch", "many.csv", "N=n,D=d,B=b,L=y", "N=3e8,D=4e10,B=8192", "3e8, 4e10, 8192"});
  cases.push_back({"inverse_tokens", "many.csv", "N=n,T=t,drop=y", "N=3e8,T=40", "3e8, 40"});
  std::string python = "import math\n", cpp, calls;
  std::vector<double> expected;
  for (const Case& c : cases) {
    CAPTURE(c.law);
    const std::string words = " --table " + c.file + " --law " + c.law + " --map " + c.map +
                              " --intervals none --starts 20";
    const Ended predicted = sweep("predict --json" + words + " --at " + c.at);
    REQUIRE(predicted.code == 0);
    expected.push_back(Json::parse(predicted.out)
                           .at("predictions")
                           .at(0)
                           .at("predictions")
                           .at(0)
                           .at("value")
                           .get<double>());
    python +=
        sweep("fit --format python" + words).out + "print(repr(" + c.law + "(" + c.call + ")))\n";
    cpp += sweep("fit --format cpp" + words).out;
    calls += "  std::printf(\"%.17g\\n\", " + c.law + "(" + c.call + "));\n";
  }
  sweep.Write("f.py", python);
  sweep.Write("f.cc", "#include <cstdio>\n" + cpp + "int main() {\n" + calls + "}\n");
  const std::string folder = sweep.folder().string();
  const auto check = [&](const std::string& command) {
    FILE* pipe = ::popen(command.c_str(), "r");
    for (std::size_t k = 0; k < expected.size(); ++k) {
      CAPTURE(command, cases[k].law);
      double value = 0;
      REQUIRE(std::fscanf(pipe, "%lf", &value) == 1);
      CHECK(value == Approx(expected[k]).epsilon(1e-10));
    }
    CHECK(::pclose(pipe) == 0);
  };
  check("python3 " + folder + "/f.py");
  check("c++ -std=c++17 -Wall -Werror -o " + folder + "/f " + folder + "/f.cc && " + folder + "/f");
}

TEST_CASE("compare takes any table: --map, --by, columns to match, three curves and one exponent") {
  const SweepProgram sweep;
  std::string table = "family,params,flops,err %\n";
  for (const auto& [family, alpha] :
       {std::pair("a", -0.10), std::pair("b", -0.10), std::pair("c", -0.15)}) {
    for (int i = 0; i < 8; ++i) {
      const double c = 1e18 * std::pow(10, 0.5 * i);
      const double noise = 1 + 0.004 * ((i * 5) % 7 - 3);
      table += std::string(family) + "," + std::to_string(1000 * (i + 1)) + "," +
               std::to_string(c) + "," + std::to_string(100 * 20 * std::pow(c, alpha) * noise) +
               "\n";
    }
  }
  sweep.Write("t.csv", table);
  const std::string words =
      R"(compare --table t.csv --map 'C=flops,E="err %"/100' --by family --match params --at-compute 1e23 --json )";
  const Json json = Json::parse(sweep(words).out);
  const Json& cell = json.at("comparisons").at(0);
  REQUIRE(cell.at("curves").size() == 3);
  CHECK(cell.at("common_slope").at("p").get<double>() < 1e-4);
  CHECK(cell.at("pairs").at(0).at("p").get<double>() > 0.05);
  CHECK(cell.at("pairs").at(0).at("matched").at("cells").size() == 8);
  CHECK(cell.at("curves").at(2).at("probability_best").get<double>() > 0.99);
  CHECK_THAT(json.at("family").get<std::string>(), Catch::Contains("3 tests"));
  const Json two = Json::parse(sweep(words + "a c").out);
  CHECK(two.at("comparisons").at(0).at("curves").size() == 2);
  CHECK(sweep(words + "a z").code == 2);
  CHECK(sweep("compare --table t.csv --map 'C=flops,E=params/1e6'").code == 2);
}

TEST_CASE("compare --law compares strategies by their parameters and tokens for a tolerated drop") {
  const SweepProgram sweep;
  std::string table = "strategy,params,tokens,drop\n";
  for (const auto& [strategy, k] : {std::pair("resize", 0.5), std::pair("mask", 1.5)}) {
    int i = 0;
    for (const double n : {6e7, 1.5e8, 4.3e8}) {
      for (const double t : {101.0, 50.0, 37.0, 17.0}) {
        const double noise = 1 + 0.01 * ((i++ * 5) % 7 - 3);
        table += std::string(strategy) + "," + std::to_string(n) + "," + std::to_string(t) + "," +
                 std::to_string(noise * k * std::pow(n / 1e8, -0.6) * (197 / t - 1)) + "\n";
      }
    }
  }
  sweep.Write("t.csv", table);
  const Json json = Json::parse(
      sweep("compare --table t.csv --law inverse_tokens --map N=params,T=tokens,drop=drop --by "
            "strategy --const tolerance=0.5 --json")
          .out);
  CHECK(json.at("schema") == "sweep.compare_laws/1");
  CHECK(json.at("common_law").at("p").get<double>() < 1e-6);
  const Json& derived = json.at("curves").at(0).at("fit").at("derived");
  const double reach = 0.5 / (0.5 * std::pow(1.5, -0.6));
  CHECK(derived.at("tokens_at_drop_0.5_N_1.5e+08").get<double>() ==
        Approx(197 / (1 + reach)).epsilon(0.03));
  CHECK(json.at("pairs").at(0).at("parameters").at(0).at("p").get<double>() < 1e-6);
}
