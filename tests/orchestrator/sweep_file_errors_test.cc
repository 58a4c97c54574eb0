#include <catch2/catch.hpp>
#include <random>

#include "core/failure.h"
#include "core/files.h"
#include "tests/orchestrator/sweep_file_fixture.h"

namespace sweep {
namespace {

const char* const kValid = R"({
"version": 1,
"name": "s",
"grid": {"model": ["tiny", "small"], "samples_seen": [1024, "4k"]},
"fixed": {"dataset": "scenes", "global_batch_size": 128},
"derive": {"learning_rate": "1e-3 * global_batch_size / 128"},
"exclude": [{"model": "small", "samples_seen": "4k"}],
"evaluations": ["items"],
"curves": {"scenes": "clean"},
"fits": [{"law": "power", "curves": ["clean"], "evaluations": ["items"]}],
"executor": {"kind": "local", "slots": 2},
"trainer": {"device": "cpu", "checkpoint_every_seconds": "5min"}
})";

std::string AllProblems(const std::string& text, const SmallDataFolder& data) {
  ProblemList problems;
  (void)ExpandText(text, data, problems);
  std::string all;
  for (const FileProblem& problem : problems.all()) {
    const std::string line = FormatProblem(problem);
    all += line.substr(line.find("s.json")) + "\n";
  }
  return all;
}

std::string Replaced(const std::string& what, const std::string& by) {
  std::string text = kValid;
  const size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

struct WrongFile {
  const char* what;      // part of kValid …
  const char* by;        // … and what stands in its place
  const char* expected;  // part of the messages
};

const WrongFile kWrongFiles[] = {
    {"\"name\"", "\"nmae\"", "s.json:3: /nmae: field 'nmae' is not known; did you mean 'name'?"},
    {"\"name\": \"s\",", "", "s.json:1: field 'name' is missing"},
    {"\"version\": 1", "\"version\": 2", "s.json:2: /version: value 2, expected a whole number"},
    {"\"model\": [", "\"modle\": [", "s.json:4: /grid/modle: field 'modle' is not known"},
    {"\"model\": [", "\"modle\": [", "did you mean 'model'?"},
    {"\"tiny\", \"small\"",
     "\"tiny\", \"smal\"",
     "s.json:4: /grid/model/1: value 'smal', expected the name of a model; did you mean 'small'?"},
    {"1024, \"4k\"",
     "1024, \"4x\"",
     "s.json:4: /grid/samples_seen/1: value '4x', expected a whole number of at least 1"},
    {"1024, \"4k\"",
     "1024, 0",
     "/grid/samples_seen/1: value 0, expected a whole number of at least 1"},
    {"1024, \"4k\"", "1024, 1.5", "/grid/samples_seen/1: value 1.5, expected a whole number"},
    {"1024, \"4k\"", "1024, true", "/grid/samples_seen/1: value true, expected a whole number"},
    {"1024, \"4k\"", "1024, \"1.024k\"", "/grid/samples_seen/1: value '1.024k' is given twice"},
    {"1024, \"4k\"",
     "\"laion:34b\"",
     "value 'laion:34b', expected a whole number of at least 1, as "
     "131072 or \"128k\"; did you mean 'laion:34B'?"},
    {"[1024, \"4k\"]",
     "[]",
     "/grid/samples_seen: value [], expected an array of at least one value"},
    {"\"grid\": {",
     "\"generate\": {\"models\": [\"tiny\"], \"compute_gmacs\": {\"from\": 1, \"to\": 2, "
     "\"count\": 2}}, "
     "\"grid\": {",
     "/generate: field 'model' is given in /grid/model already"},
    {"[1024, \"4k\"]", "1024", "/grid/samples_seen: value 1024, expected an array"},
    {"\"dataset\": \"scenes\"",
     "\"dataset\": \"scnes\"",
     "s.json:5: /fixed/dataset: value 'scnes', expected the name of a data set; did you mean "
     "'scenes'?"},
    {"\"global_batch_size\": 128}",
     "\"global_batch_size\": 128, \"schedule\": \"cosin\"}",
     "/fixed/schedule: value 'cosin', expected cosine, constant or constant_cooldown; did you mean "
     "'cosine'?"},
    {"\"global_batch_size\": 128}",
     "\"global_batch_size\": 128, \"model\": \"tiny\"}",
     "s.json:5: /fixed/model: field 'model' is given in /grid/model already"},
    {"\"global_batch_size\": 128}",
     "\"global_batch_size\": 128, \"beta2\": 1}",
     "/fixed/beta2: value 1, expected a number of at least 0 and less than 1"},
    {"\"global_batch_size\": 128}",
     "\"global_batch_size\": 128, \"data_scale\": \"2M\"}",
     "data_scale 2000000 of dataset 'scenes', expected at most its size, 1000000 pairs"},
    {"\"global_batch_size\": 128}",
     "\"global_batch_size\": 128, \"global_batch_size\": 128}",
     "s.json:5: /fixed/global_batch_size: key 'global_batch_size' is given twice"},
    {", \"global_batch_size\": 128}", "}", "/derive/learning_rate: needs 'global_batch_size'"},
    {"\"derive\": {\"learning_rate\"",
     "\"derive\": {\"warmup_steps\"",
     "s.json:4: /grid: field 'learning_rate' is missing, expected a number greater than 0"},
    {"1e-3 * global_batch_size",
     "1e-3 * global_batch",
     "s.json:6: /derive/learning_rate: expression '1e-3 * global_batch / 128': name 'global_batch' "
     "is "
     "not known"},
    {"1e-3 *",
     "1e-3 * *",
     "/derive/learning_rate: expression '1e-3 * * global_batch_size / 128': "},
    {"1e-3 *", "-1e-3 *", "/derive/learning_rate: value -0.001 for the run with model tiny"},
    {"1e-3 *", "learning_rate *", "expression needs itself: learning_rate → learning_rate"},
    {"\"learning_rate\": \"1e-3",
     "\"weight_decay\": \"learning_rate\", \"learning_rate\": \"weight_decay",
     "expression needs itself: learning_rate → weight_decay → learning_rate"},
    {"\"learning_rate\": \"1e-3",
     "\"model\": \"1",
     "field 'model' is not a number and cannot be derived"},
    {"\"small\", \"samples_seen\": \"4k\"",
     "\"small\", \"seed\": 3",
     "s.json:7: /exclude/0: warning: excludes nothing"},
    {"[{\"model\": \"small\", \"samples_seen\": \"4k\"}]",
     "[{}]",
     "/exclude/0: value {}, expected an object of at least one run field"},
    {"[\"items\"],",
     "[\"itmes\"],",
     "s.json:8: /evaluations/0: value 'itmes', expected the name of an evaluation; did you mean "
     "'items'?"},
    {"[\"items\"],",
     "[\"items\", \"items\"],",
     "/evaluations/1: evaluation 'items' is given twice"},
    {"[\"items\"],",
     "[{\"extends\": \"items\", \"size\": 10}],",
     "/evaluations/0: field 'name' is missing"},
    {"{\"scenes\": \"clean\"}", "{\"scene\": \"clean\"}", "s.json:9: /curves/scene: value 'scene'"},
    {"[\"clean\"]",
     "[\"cleen\"]",
     "s.json:10: /fits/0/curves/0: value 'cleen', expected a curve of this sweep (clean); did you "
     "mean"},
    {"\"law\": \"power\", ", "", "s.json:10: /fits/0: field 'law' is missing"},
    {"\"slots\": 2",
     "\"slot\": 2",
     "s.json:11: /executor/slot: field 'slot' is not known; did you"},
    {"\"slots\": 2",
     "\"slots\": 0",
     "/executor/slots: value 0, expected a whole number of at least 1"},
    {"\"cpu\"", "\"gpu\"", "s.json:12: /trainer/device: value 'gpu', expected auto, cpu or cuda"},
    {"\"trainer\": {",
     "\"trainer\": {\"sharding\": \"all\", ",
     "/trainer/sharding: value 'all', expected none, optimizer or weights"},
    {"\"5min\"", "\"5 minutes\"", "value '5 minutes', expected seconds or a duration"},
    {"\"trainer\": {", "\"trainer\": {\"command\": [], ", "/trainer/command: value []"},
    {"\"curves\"",
     "\"models\": {\"m\": {\"extends\": \"tny\"}}, \"curves\"",
     "/models/m/extends: value 'tny', expected the name of a model; did you mean 'tiny'?"},
    {"\"curves\"",
     "\"models\": {\"m\": {\"extends\": \"tiny\", \"vision\": {\"patch_size\": 5}}}, \"curves\"",
     "/models/m: model: vision.patch_size is 5, expected a divisor of vision.image_size = 28"},
    {"\"curves\"",
     "\"datasets\": {\"d\": {\"extends\": \"scenes\", \"sise\": 5}}, \"curves\"",
     "/datasets/d/sise: field 'sise' is not known; did you mean 'size'?"},
    {"\"curves\"",
     "\"datasets\": {\"d\": {\"extends\": \"scenes\", \"options\": {\"mismatch\": 2}}}, \"curves\"",
     "/datasets/d/options: options: mismatch is 2, expected a share in [0, 1]"},
    {"\"curves\"",
     "\"datasets\": {\"d\": {\"extends\": \"scenes\", \"options\": {\"max_items\": 1}}}, "
     "\"curves\"",
     "/datasets/d/size: value 1000000, expected at most 360000, the distinct pairs"},
    {"\"kind\": \"local\", \"slots\": 2",
     "\"processes_per_run\": 3, \"nodes_per_run\": 2",
     "/executor/nodes_per_run: 2, expected a divisor of the 3 processes of a run"},
    {"[\"items\"],",
     "[{\"name\": \"items\", \"extends\": \"items\", \"options\": {\"canvas\": 56}}],",
     "/grid: model 'tiny' reads images of 28 pixels, expected the canvas of evaluation 'items', "
     "56"},
    {"\"curves\"",
     "\"models\": {\"tiny\": {\"extends\": \"tiny\", \"text\": {\"vocab_size\": 3}}}, \"curves\"",
     "model 'tiny' has a vocab_size of 3, expected at least the 4 ids of data set 'scenes'"},
    {"\"curves\"",
     "\"datasets\": {\"scenes\": {\"extends\": \"scenes\", \"tokenizer\": {\"kind\": \"clip_bpe\", "
     "\"file\": \"vocabularies/merges.txt\"}}}, \"curves\"",
     "model 'tiny' has a vocab_size of 60, expected at least the 515 ids of data set 'scenes'"},
    {"\"curves\"",
     "\"datasets\": {\"d\": {\"extends\": \"scenes\", \"kind\": \"webdataset\", \"options\": "
     "{\"weights\": [1]}}}, \"curves\"",
     "/datasets/d/options: options: weights is [1], expected none unless resampled is true"},
};

}  // namespace

TEST_CASE("A right sweep file has no problems") {
  const SmallDataFolder data;
  CHECK(AllProblems(kValid, data).empty());
  ProblemList problems;
  CHECK(ExpandText(kValid, data, problems).runs.size() == 3);
}

TEST_CASE("A wrong sweep file is told where, what was expected and the nearest name") {
  const SmallDataFolder data;
  for (const WrongFile& wrong : kWrongFiles) {
    const std::string text = Replaced(wrong.what, wrong.by);
    CAPTURE(wrong.by);
    CHECK_THAT(AllProblems(text, data), Catch::Contains(wrong.expected));
  }
}

TEST_CASE("All problems of a file are reported at once") {
  const SmallDataFolder data;
  std::string text = Replaced("\"tiny\"", "\"tny\"");
  text.replace(text.find("\"cpu\""), 5, "\"gpu\"");
  text.replace(text.find("\"slots\""), 7, "\"slits\"");
  const std::string problems = AllProblems(text, data);
  CHECK_THAT(problems, Catch::Contains("/grid/model/0"));
  CHECK_THAT(problems, Catch::Contains("/trainer/device"));
  CHECK_THAT(problems, Catch::Contains("/executor/slits"));
}

TEST_CASE("ReadSweepFile throws the problems with the file's path") {
  const SmallDataFolder data;
  WriteTextFile(data.path() / "wrong.json", "{\"version\": 1}");
  CHECK_THROWS_WITH(ReadSweepFile(data.path() / "wrong.json", data.catalog()),
                    Catch::Contains("wrong.json:1: field 'name' is missing"));
  CHECK_THROWS_WITH(ReadSweepFile(data.path() / "absent.json", data.catalog()),
                    Catch::Contains("absent.json"));
}

TEST_CASE("A sweep file cut anywhere is an error, never a crash") {
  const SmallDataFolder data;
  const std::string text = kValid;
  for (size_t length = 0; length < text.size(); ++length) {
    ProblemList problems;
    (void)ExpandText(text.substr(0, length), data, problems);
    CHECK(problems.has_errors());
  }
}

TEST_CASE("A sweep file with flipped bytes never crashes") {
  const SmallDataFolder data;
  std::mt19937 random(7);
  size_t wrong = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = kValid;
    for (int flips = 0; flips < 1 + i % 3; ++flips) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    ProblemList problems;
    (void)ExpandText(text, data, problems);
    if (problems.has_errors()) ++wrong;
  }
  CHECK(wrong > 2000);
}

// The valid file with one value anywhere, or something around it, replaced by an odd one.
std::vector<Json> OddDocuments() {
  const Json odd[] = {nullptr,
                      true,
                      -1,
                      1e300,
                      "",
                      "x",
                      Json::array({Json::object()}),
                      Json{{"from", Json::object()}},
                      Json{{"a", Json::array()}}};
  const Json valid = Json::parse(kValid);
  const Json flat = valid.flatten();
  std::vector<Json> documents;
  for (const auto& [pointer, value] : flat.items()) {
    for (const Json& replacement : odd) {
      for (Json::json_pointer at(pointer); !at.empty(); at.pop_back()) {
        documents.push_back(valid);
        documents.back()[at] = replacement;
      }
    }
  }
  return documents;
}

TEST_CASE("Values of wrong types anywhere are errors, never a crash") {
  const SmallDataFolder data;
  size_t wrong = 0;
  const std::vector<Json> documents = OddDocuments();
  for (const Json& document : documents) {
    ProblemList problems;
    CHECK_NOTHROW((void)ExpandText(document.dump(), data, problems));
    if (problems.has_errors()) ++wrong;
  }
  CHECK(wrong > documents.size() * 9 / 10);  // some texts may be anything
}

TEST_CASE("A JSON Schema validator rejects nothing that sweep accepts, and most wrong files") {
  const SmallDataFolder data;
  const TemporaryDirectory files;
  std::map<std::string, bool> accepted;  // by sweep
  const auto add = [&](const std::string& text) {
    ProblemList problems;
    (void)ExpandText(text, data, problems);
    const std::string name = std::to_string(accepted.size()) + ".json";
    accepted[name] = !problems.has_errors();
    WriteTextFile(files.path() / name, text);
  };
  add(kValid);
  for (const WrongFile& wrong : kWrongFiles) add(Replaced(wrong.what, wrong.by));
  for (const Json& document : OddDocuments()) add(document.dump());
  const std::string command =
      "python3 " SWEEP_SOURCE_DIR "/tests/orchestrator/validate_by_schema.py " SWEEP_SOURCE_DIR
      "/sweeps/schema/sweep.schema.json " +
      files.path().string() + " > " + files.path().string() + "/rejected.txt 2>/dev/null";
  if (std::system(command.c_str()) != 0) {
    WARN("no JSON Schema validator for Python 3: skipped");
    return;
  }
  std::ifstream in(files.path() / "rejected.txt");
  size_t rejected = 0;
  for (std::string name; std::getline(in, name); ++rejected) {
    CAPTURE(ReadFile(files.path() / name));
    CHECK_FALSE(accepted.at(name));
  }
  CHECK(rejected > accepted.size() * 3 / 4);
}

TEST_CASE("A wrong definition file of the data folder is named with its line") {
  const SmallDataFolder data;
  const auto problems = [&](const std::string& file, const std::string& text) {
    WriteTextFile(data.path() / file, text);
    try {
      (void)LoadCatalog(data.path());
    } catch (const Failure& failure) {
      std::filesystem::remove(data.path() / file);
      return std::string(failure.what());
    }
    return std::string();
  };
  CHECK_THAT(problems("models/m.json", "[]"), Catch::Contains("m.json:1: value [], expected"));
  CHECK_THAT(problems("models/m.json", "{\"models\":\n{\"m\": {}}}"),
             Catch::Contains("m.json:2: /models/m: model: field 'embed_dim' is missing"));
  CHECK_THAT(problems("models/m.json", "{\"aliases\": {\"a\": \"b\"}}"),
             Catch::Contains("/aliases/a: value 'b', expected the name of a model"));
  CHECK_THAT(problems("datasets/d.json", "{}"),
             Catch::Contains("d.json:1: field 'kind' is missing"));
  CHECK_THAT(problems("evaluations/e.json", "{\"task\": 1}"),
             Catch::Contains("/task: value 1, expected zeroshot_classification or"));
  CHECK_THAT(problems("sample_counts.json", "{\"counts\": {\"a\": 1}}"),
             Catch::Contains("/counts/a: value 1, expected an object"));
}

}  // namespace sweep
