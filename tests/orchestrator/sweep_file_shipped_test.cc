#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/compute.h"
#include "core/files.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/sweep_file/schema.h"

namespace sweep {
namespace {

const std::filesystem::path kSweeps = SWEEP_SOURCE_DIR "/sweeps";
const std::filesystem::path kPublished = SWEEP_SOURCE_DIR "/../shared/published";

const Catalog& Shipped() {
  static const Catalog catalog = LoadCatalog(kSweeps);
  return catalog;
}

// Rows of a CSV file without quotes; empty when it is absent.
std::vector<std::map<std::string, std::string>> ReadCsv(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::vector<std::map<std::string, std::string>> rows;
  std::vector<std::string> header;
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> cells;
    std::istringstream split(line);
    for (std::string cell; std::getline(split, cell, ',');) cells.push_back(cell);
    if (header.empty()) {
      header = cells;
      continue;
    }
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < cells.size(); ++i) row[header[i]] = cells[i];
  }
  return rows;
}

// What the published table, rounded to two decimals, may differ from the exact number.
bool RoundsTo(double exact, const std::string& published) {
  return std::abs(exact - std::stod(published)) <= 0.005 + 1e-9;
}

}  // namespace

// Total and parts of open_clip's table of architectures, in the order of sweeps/models/clip.json.
struct PublishedModel {
  const char* name;
  double gmacs, mparams;
};
const PublishedModel kPublishedModels[] = {
    {"S/32", 2.84, 63.09},
    {"S/16", 6.30, 62.26},
    {"S/32-alt", 1.78, 43.22},
    {"M/32", 4.98, 103.12},
    {"M/16", 10.99, 102.02},
    {"B/32", 7.40, 151.28},
    {"B/16", 20.57, 149.62},
    {"B/16+", 32.05, 208.38},
    {"L/16", 68.26, 427.74},
    {"L/14", 87.73, 427.62},
    {"L/14-336", 197.76, 427.94},
    {"H/16", 150.96, 986.26},
    {"H/14", 190.97, 986.11},
    {"H/14-336", 414.53, 986.52},
    {"g/14", 290.74, 1366.68},
    {"G/14", 532.92, 2539.57},
    {"e/14", 1046.02, 4581.09},
};

TEST_CASE("Every named CLIP model has the published parameters and GMACs") {
  for (const PublishedModel& published : kPublishedModels) {
    CAPTURE(published.name);
    const auto name = Shipped().FullModelName(published.name);
    REQUIRE(name);
    const ModelSpec& model = Shipped().models.at(*name).spec;
    CHECK(CountForwardGmacs(model).total() == Approx(published.gmacs).margin(0.0051).epsilon(0));
    CHECK(CountParameters(model).total() / 1e6 ==
          Approx(published.mparams).margin(0.0051).epsilon(0));
  }
}

TEST_CASE("Parameter counts of the CLIP models are exact") {
  const std::map<std::string, int64_t> exact = {
      {"S/32", 63'085'825},
      {"S/16", 62'257'537},
      {"M/32", 103'119'873},
      {"B/32", 151'277'313},
      {"B/16", 149'620'737},
      {"B/16+", 208'377'345},
      {"L/14", 427'616'513},
      {"H/14", 986'109'441},
      {"g/14", 1'366'678'273},
      {"G/14", 2'539'567'105},
      {"e/14", 4'581'086'465},
  };
  for (const auto& [name, params] : exact) {
    CAPTURE(name);
    const auto full = Shipped().FullModelName(name);
    REQUIRE(full);
    CHECK(CountParameters(Shipped().models.at(*full).spec).total() == params);
  }
}

TEST_CASE("The shipped CLIP models equal the published table tower by tower") {
  const auto rows = ReadCsv(kPublished / "clip_models.csv");
  if (rows.empty()) {
    WARN("no published table beside the repository: skipped");
    return;
  }
  size_t compared = 0;
  for (auto row : rows) {
    // Other architectures: residual networks, and a transformer with layer scale.
    if (!row["model"].starts_with("ViT") || row["model"] == "ViT-M-16-alt") continue;
    CAPTURE(row["model"]);
    REQUIRE(Shipped().models.contains(row["model"]));
    const ModelSpec& model = Shipped().models.at(row["model"]).spec;
    const ForwardGmacs gmacs = CountForwardGmacs(model);
    const ParameterCount params = CountParameters(model);
    CHECK(RoundsTo(gmacs.vision, row["image_gmacs"]));
    CHECK(RoundsTo(gmacs.text, row["text_gmacs"]));
    CHECK(RoundsTo(static_cast<double>(params.vision) / 1e6, row["image_mparams"]));
    CHECK(RoundsTo(static_cast<double>(params.text) / 1e6, row["text_mparams"]));
    ++compared;
  }
  CHECK(compared == 23);
}

TEST_CASE("Every shipped sweep file expands without a warning") {
  const std::map<std::string, size_t> runs = {
      {"quickstart.json", 18}, {"smoke.json", 4}, {"laion_grid.json", 29}};
  const std::set<std::string> no_sweeps = {"accelerators.json", "sample_counts.json"};
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSweeps)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".json" || no_sweeps.contains(name)) continue;
    CAPTURE(entry.path());
    ++files;
    ProblemList problems;
    const SweepFile file = ReadSweepFile(entry.path(), Shipped());
    const ExpandedSweep sweep = Expand(file, problems);
    CHECK(problems.all().empty());
    const auto expected = runs.find(entry.path().filename());
    if (expected != runs.end()) CHECK(sweep.runs.size() == expected->second);
  }
  CHECK(files >= runs.size());
}

TEST_CASE("The quick start spans a compute range of 100 and two data sets") {
  const ExpandedSweep sweep = Expand(ReadSweepFile(kSweeps / "quickstart.json", Shipped()));
  CHECK(sweep.runs.back().compute_gmacs / sweep.runs.front().compute_gmacs >= 100);
  std::map<std::string, int> curves;
  for (const RunRow& run : sweep.runs) ++curves[run.curve];
  CHECK(curves == std::map<std::string, int>{{"fashion_scenes", 9}, {"fashion_scenes_noisy", 9}});
  CHECK(sweep.runs.front().evaluations.size() == 2);
}

TEST_CASE("The LAION grid repeats the published runs one by one") {
  const auto rows = ReadCsv(kPublished / "clip_runs.csv");
  if (rows.empty()) {
    WARN("no published table beside the repository: skipped");
    return;
  }
  const ExpandedSweep sweep = Expand(ReadSweepFile(kSweeps / "laion_grid.json", Shipped()));
  REQUIRE(sweep.runs.size() == rows.size());
  for (auto row : rows) {
    CAPTURE(row["run"]);
    const int64_t samples = std::stoll(row["epochs"]) * std::stoll(row["samples_per_epoch"]);
    const auto same = [&](const RunRow& run) {
      return run.model == row["model"] && run.dataset == row["pretraining_dataset"] &&
             run.coordinates["samples_seen"] == samples &&
             run.spec.global_batch_size == std::stoll(row["global_batch_size"]) &&
             run.spec.optimizer.learning_rate == std::stod(row["learning_rate"]) &&
             run.spec.schedule.warmup_steps == std::stoll(row["warmup_steps"]);
    };
    CHECK(std::count_if(sweep.runs.begin(), sweep.runs.end(), same) == 1);
  }
  const RunRow& largest = sweep.runs.back();
  CHECK(largest.model == "ViT-H-14");
  CHECK(largest.compute_gmacs == Approx(6.63151e12).epsilon(1e-4));  // its published gmacs_total
}

TEST_CASE("Named counts are the products that the labels stand for") {
  CHECK(Shipped().counts.at("laion:3B").value == 2'560'013'280);
  CHECK(Shipped().counts.at("laion:13B").value == 13'034'626'688);
  CHECK(Shipped().counts.at("laion:34B").value == 34'215'895'056);
  for (const auto& [name, count] : Shipped().counts) CHECK_FALSE(count.source.empty());
}

TEST_CASE("The shipped JSON Schema is the one made from the field tables") {
  // When this fails: sweep validate --print-schema > sweeps/schema/sweep.schema.json
  CHECK(ReadJsonFile((kSweeps / "schema/sweep.schema.json").string()) == SweepFileSchema());
}

TEST_CASE("docs/sweep_file.md has every field as the tables have it") {
  // When this fails: sweep validate --print-fields prints the tables to copy.
  const std::string doc = ReadFile(SWEEP_SOURCE_DIR "/docs/sweep_file.md");
  for (const FieldTable* table : {&DocumentFields(),
                                  &RunFields(),
                                  &GenerateFields(),
                                  &LogRangeFields(),
                                  &DatasetFields(),
                                  &TokenizerFields(),
                                  &EvaluationFields(),
                                  &FitFields(),
                                  &ExecutorFields(),
                                  &TrainerFields()}) {
    CHECK_THAT(doc, Catch::Contains(FieldsAsMarkdown(*table)));
  }
}

TEST_CASE("Examples of docs/sweep_file.md are valid") {
  const std::string doc = ReadFile(SWEEP_SOURCE_DIR "/docs/sweep_file.md");
  const std::string head = R"({"version": 1, "name": "example", )";
  const std::string rest =
      R"(, "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 1e-3})";
  size_t examples = 0;
  for (size_t at = 0; (at = doc.find("```json\n", at)) != std::string::npos; ++examples) {
    at += 8;
    const std::string text = doc.substr(at, doc.find("```", at) - at);
    const bool is_whole = text.starts_with("{");
    const bool has_fixed = text.find("\"fixed\"") != std::string::npos;
    const bool has_runs = text.find("\"grid\"") != std::string::npos ||
                          text.find("\"generate\"") != std::string::npos;
    std::string whole = is_whole ? text : head + text + (has_fixed ? "" : rest);
    if (!is_whole)
      whole += has_runs ? "}" : R"(, "grid": {"model": ["scenes-s"], "samples_seen": [512]}})";
    CAPTURE(whole);
    ProblemList problems;
    const SweepFile file = ParseSweepFile(whole, "example.json", Shipped(), problems);
    CHECK_NOTHROW(problems.ThrowIfErrors());
    CHECK_FALSE(Expand(file, problems).runs.empty());
    CHECK_NOTHROW(problems.ThrowIfErrors());
  }
  CHECK(examples == 5);
}

TEST_CASE("DataPath follows SWEEP_DATA_DIR, else the source tree") {
  CHECK(std::filesystem::equivalent(DataPath("models/clip.json"), kSweeps / "models/clip.json"));
  ::setenv("SWEEP_DATA_DIR", "/tmp", 1);
  CHECK(DataPath("x") == "/tmp/x");
  ::setenv("SWEEP_DATA_DIR", "/nonexistent", 1);
  CHECK_THROWS_WITH(DataPath("x"), Catch::Contains("SWEEP_DATA_DIR is '/nonexistent'"));
  ::unsetenv("SWEEP_DATA_DIR");
}

}  // namespace sweep
