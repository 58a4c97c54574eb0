#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>

#include "core/files.h"
#include "core/json.h"
#include "tests/orchestrator/sweep_file_fixture.h"

namespace sweep {
namespace {

const std::string kSweep = SWEEP_BINARY_DIR "/bin/sweep";

struct Result {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Runs `sweep ARGUMENTS` in `folder`, without the caller's environment for data and colour.
Result RunSweepProgram(const std::string& arguments, const std::filesystem::path& folder) {
  const std::filesystem::path out = folder / "stdout.txt";
  const std::filesystem::path err = folder / "stderr.txt";
  const std::string command = "cd '" + folder.string() + "' && env -u SWEEP_DATA_DIR '" + kSweep +
                              "' " + arguments + " >stdout.txt 2>stderr.txt";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(out), ReadFile(err)};
}

}  // namespace

TEST_CASE("sweep models lists exact parameters, and knows aliases") {
  const TemporaryDirectory folder;
  const Result result = RunSweepProgram("models B/32 ViT-H-14 --json", folder.path());
  REQUIRE(result.exit_code == 0);
  const Json json = Json::parse(result.out);
  CHECK(json["schema"] == "sweep.models/1");
  REQUIRE(json["models"].size() == 2);
  CHECK(json["models"][0]["model"] == "ViT-B-32");
  CHECK(json["models"][0]["params"] == 151'277'313);
  CHECK(json["models"][1]["image_params"] == 632'076'800);
  CHECK(json["models"][1]["gmacs_per_sample"].get<double>() == Approx(190.97).margin(0.005));
  const Result all = RunSweepProgram("models", folder.path());
  CHECK_THAT(all.out, Catch::Contains("ViT-bigG-14") && Catch::Contains("2,539,567,105"));
  CHECK_THAT(all.out, Catch::Contains("scenes-xs"));
}

TEST_CASE("sweep models says which name was meant") {
  const TemporaryDirectory folder;
  const Result result = RunSweepProgram("models ViT-B-23", folder.path());
  CHECK(result.exit_code == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Catch::Contains("did you mean 'ViT-B-32'?"));
}

TEST_CASE("sweep validate reports every problem of every file and exits with 2") {
  const TemporaryDirectory folder;
  WriteTextFile(folder.path() / "a.json", "{\"version\": 1,\n\"nam\": \"a\"}");
  WriteTextFile(folder.path() / "b.json", "{\"version\": 1,");
  const std::string good = SWEEP_SOURCE_DIR "/sweeps/smoke.json";
  const Result plain = RunSweepProgram("validate a.json b.json " + good, folder.path());
  CHECK(plain.exit_code == 2);
  CHECK_THAT(plain.err, Catch::Contains("a.json:2: /nam: field 'nam' is not known; did you mean"));
  CHECK_THAT(plain.err, Catch::Contains("a.json:1: field 'name' is missing"));
  CHECK_THAT(plain.err, Catch::Contains("b.json:1: column 15: not valid JSON"));
  CHECK_THAT(plain.out, Catch::Contains("sweep smoke, 4 runs"));
  const Result json = RunSweepProgram("validate --json a.json " + good, folder.path());
  CHECK(json.exit_code == 2);
  const Json parsed = Json::parse(json.out);
  CHECK(parsed["schema"] == "sweep.validate/1");
  CHECK(parsed["files"][0]["valid"] == false);
  CHECK(parsed["files"][0]["problems"][0]["line"] == 2);
  CHECK(parsed["files"][1]["valid"] == true);
  CHECK(parsed["files"][1]["runs"] == 4);
  CHECK(RunSweepProgram("validate " + good, folder.path()).exit_code == 0);
  CHECK(RunSweepProgram("validate absent.json", folder.path()).exit_code == 2);
}

TEST_CASE("sweep init writes a valid sweep file and a page about it, and overwrites nothing") {
  const TemporaryDirectory folder;
  const Result first = RunSweepProgram("init smoke --output mine.json", folder.path());
  REQUIRE(first.exit_code == 0);
  CHECK(first.out == "mine.json\nmine.md\n");
  CHECK_THAT(ReadFile(folder.path() / "mine.md"),
             Catch::Contains("sweep run mine.json") && Catch::Contains("`grid/samples_seen`"));
  CHECK(RunSweepProgram("validate mine.json", folder.path()).exit_code == 0);
  const Json document = ReadJsonFile((folder.path() / "mine.json").string());
  CHECK(std::filesystem::exists(document["$schema"].get<std::string>()));
  WriteTextFile(folder.path() / "mine.json", "precious");
  const Result second = RunSweepProgram("init smoke --output mine.json", folder.path());
  CHECK(second.exit_code == 2);
  CHECK_THAT(second.err, Catch::Contains("is there already"));
  CHECK(ReadFile(folder.path() / "mine.json") == "precious");
}

TEST_CASE("sweep init lists its templates and knows which was meant") {
  const TemporaryDirectory folder;
  const Json json = Json::parse(RunSweepProgram("init --list --json", folder.path()).out);
  CHECK(json["schema"] == "sweep.templates/1");
  CHECK(json["templates"].size() >= 3);
  const Result wrong = RunSweepProgram("init quikstart", folder.path());
  CHECK(wrong.exit_code == 2);
  CHECK_THAT(wrong.err, Catch::Contains("did you mean 'quickstart'?"));
}

TEST_CASE("Help of the sweep file commands has an example") {
  const TemporaryDirectory folder;
  for (const std::string command : {"validate", "models", "init"}) {
    const Result help = RunSweepProgram(command + " --help", folder.path());
    CHECK(help.exit_code == 0);
    CHECK_THAT(help.out, Catch::Contains("Example:\n  sweep " + command));
  }
}

}  // namespace sweep
