#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "core/compute.h"
#include "core/failure.h"
#include "core/hash.h"
#include "db/point_labels.h"
#include "tests/orchestrator/sweep_file_fixture.h"

namespace sweep {
namespace {

// A sweep file with `members` after what every test needs.
std::string SweepText(const std::string& members) {
  return R"({"version": 1, "name": "s", )" + members + "}";
}

const std::string kFixed =
    R"("fixed": {"dataset": "scenes", "global_batch_size": 100, "learning_rate": 0.001})";

std::string ProblemsOf(const std::string& text, const SmallDataFolder& data) {
  ProblemList problems;
  (void)ExpandText(text, data, problems);
  std::string all;
  for (const FileProblem& problem : problems.all()) all += FormatProblem(problem) + "\n";
  return all;
}

const RunRow& RunWith(const ExpandedSweep& sweep, const std::string& field, const Json& value) {
  const auto found = std::find_if(sweep.runs.begin(), sweep.runs.end(), [&](const RunRow& run) {
    return run.coordinates.at(field) == value;
  });
  REQUIRE(found != sweep.runs.end());
  return *found;
}

}  // namespace

TEST_CASE("Expand makes every combination, by ascending compute") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(
      SweepText(
          R"("grid": {"model": ["small", "T/7"], "samples_seen": ["2k", 1000], "seed": [0, 1, 2]},)" +
          kFixed),
      data);
  REQUIRE(sweep.runs.size() == 12);
  CHECK(std::is_sorted(sweep.runs.begin(), sweep.runs.end(), [](const auto& a, const auto& b) {
    return a.compute_gmacs < b.compute_gmacs;
  }));
  CHECK(sweep.runs.front().model == "tiny");
  CHECK(sweep.runs.back().coordinates["samples_seen"] == 2000);
}

TEST_CASE("Expand rounds samples up to whole steps and keeps the requested number") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(
      SweepText(R"("grid": {"model": ["tiny"], "samples_seen": [1001]},)" + kFixed), data);
  const RunRow& run = sweep.runs.at(0);
  CHECK(run.spec.samples_seen == 1100);
  CHECK(run.spec.steps() == 11);
  CHECK(run.coordinates["samples_seen"] == 1001);
  CHECK(run.coordinates["data_scale"] == 1'000'000);
  CHECK(run.compute_gmacs == Approx(1100 * CountForwardGmacs(run.spec.model).total()));
  CHECK(run.train_flops == Approx(6e9 * run.compute_gmacs));
}

TEST_CASE("Expand derives fields from others, steps, params and other derived fields") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"json("fixed": {"model": "tiny", "dataset": "scenes",
      "samples_seen": 10000}, "derive": {"learning_rate": "weight_decay * 10 / sqrt(params)",
      "warmup_steps": "0.26 * steps", "global_batch_size": "samples_seen / 100",
      "weight_decay": "beta1 * gmacs_per_sample"})json"),
                                data);
  const RunSpec& spec = sweep.runs.at(0).spec;
  const double gmacs = CountForwardGmacs(spec.model).total();
  CHECK(spec.global_batch_size == 100);
  CHECK(spec.schedule.warmup_steps == 26);
  CHECK(spec.optimizer.weight_decay == Approx(0.9 * gmacs));
  CHECK(spec.optimizer.learning_rate ==
        Approx(9 * gmacs / std::sqrt(CountParameters(spec.model).total())));
}

TEST_CASE("Fewer tokens cost less, make other runs, and expressions know") {
  const SmallDataFolder data;
  const auto expand = [&](const std::string& fields) {
    return ExpandText(SweepText(R"json("grid": {"model": ["small"], "samples_seen": [1000]},
                 "derive": {"warmup_steps": "1e6 * gmacs_per_sample"},
                 "fixed": {"dataset": "scenes", "global_batch_size": 100, "learning_rate": 1e-3)json" +
                                fields + "}"),
                      data)
        .runs.at(0);
  };
  const RunRow whole = expand("");
  CHECK(whole.image_tokens == 17);
  CHECK(whole.text_tokens == 16);
  CHECK(whole.coordinates.at("image_size") == 28);
  CHECK(expand(R"(, "image_size": 28, "context_length": 16, "patch_mask": "block")").run_id ==
        whole.run_id);

  const RunRow resized = expand(R"(, "image_size": 14)");
  CHECK(resized.image_tokens == 5);
  CHECK(resized.spec.model.vision.image_size == 14);
  CHECK(resized.params == whole.params - 12 * 64);
  const RunRow masked = expand(R"(, "patch_dropout": 0.75)");
  CHECK(masked.image_tokens == 5);
  CHECK(masked.params == whole.params);
  const RunRow shorter = expand(R"(, "context_length": 8)");
  CHECK(shorter.text_tokens == 8);
  for (const RunRow& run : {resized, masked, shorter}) {
    CHECK(run.run_id != whole.run_id);
    CHECK(run.gmacs_per_sample < 0.8 * whole.gmacs_per_sample);
    CHECK(run.compute_gmacs == Approx(1000 * run.gmacs_per_sample));
    CHECK(run.train_flops == Approx(6e9 * run.compute_gmacs));
    CHECK(run.spec.schedule.warmup_steps == std::llround(1e6 * run.gmacs_per_sample));
  }
}

TEST_CASE("Full-token tuning keeps the token count of the longer stage before it") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"("include": [
      {"model": "tiny", "samples_seen": 1000, "image_size": 14},
      {"model": "tiny", "samples_seen": 200, "start": {"from": {"samples_seen": 1000, "image_size": 14}}}],)" +
                                          kFixed),
                                data);
  const RunRow& tuned = RunWith(sweep, "samples_seen", 200);
  const RunRow& reduced = RunWith(sweep, "samples_seen", 1000);
  CHECK(tuned.spec.start.run_id == reduced.run_id);
  CHECK(tuned.spec.model.vision.image_size == 28);
  CHECK(tuned.image_tokens == 5);
  CHECK(tuned.compute_gmacs ==
        Approx(1000 * reduced.gmacs_per_sample + 200 * tuned.gmacs_per_sample));
}

TEST_CASE("Syntax reduction needs a word list, which becomes a part of the run") {
  const SmallDataFolder data;
  const std::string fields = R"("grid": {"model": ["tiny"], "samples_seen": [1000]},
      "fixed": {"dataset": "D", "global_batch_size": 100, "learning_rate": 1e-3,
                "text_reduction": "syntax"})";
  const auto with = [&](const std::string& tokenizer) {
    return SweepText(R"("datasets": {"D": {"extends": "scenes", "tokenizer": {"kind": "word",
        "file": "vocabularies/words.json")" +
                     tokenizer + "}}}, " + fields);
  };
  CHECK_THAT(ProblemsOf(with(""), data),
             Catch::Contains("data set 'D' has no tokenizer.parts_of_speech"));
  WriteTextFile(data.path() / "vocabularies/list.json", "{}");
  const auto sweep = ExpandText(with(R"(, "parts_of_speech": "vocabularies/list.json")"), data);
  const std::string content = sweep.runs.at(0).spec.reduction.parts_of_speech;
  CHECK(content == ContentIdOfFile(data.path() / "vocabularies/list.json"));
  CHECK(sweep.locations.at(content) == (data.path() / "vocabularies/list.json").string());
}

TEST_CASE("Single towers start from files, known by their content") {
  const SmallDataFolder data;
  WriteTextFile(data.path() / "mim.safetensors", "weights");
  const auto text = [](const std::string& start) {
    return SweepText(R"("include": [{"model": "tiny", "samples_seen": 100, "start": )" + start +
                     "}]," + kFixed);
  };
  const RunRow run = ExpandText(text(R"({"vision_file": "mim.safetensors"})"), data).runs.at(0);
  CHECK(run.spec.start.vision_file == ContentIdOfFile(data.path() / "mim.safetensors"));
  CHECK(run.spec.start.file.empty());
  CHECK_THAT(ProblemsOf(text(R"({"vision_file": "no.safetensors"})"), data),
             Catch::Contains("no.safetensors"));
  CHECK_THAT(
      ProblemsOf(text(R"({"vision_file": "mim.safetensors", "file": "mim.safetensors"})"), data),
      Catch::Contains("/include/0/start"));
}

TEST_CASE("Lengths that a compute pays for know no other token counts") {
  const SmallDataFolder data;
  CHECK_THAT(ProblemsOf(SweepText(R"("generate": {"models": ["tiny"], "compute_gmacs": {"from": 1,
      "to": 10, "count": 2}}, "fixed": {"dataset": "scenes", "global_batch_size": 100,
      "learning_rate": 1e-3, "patch_dropout": 0.5})"),
                        data),
             Catch::Contains("/generate/compute_gmacs") && Catch::Contains("patch_dropout"));
}

TEST_CASE("An included run overrides fixed values and derived ones, beside or without a grid") {
  const SmallDataFolder data;
  const std::string include =
      R"("include": [{"model": "small", "samples_seen": 300, "learning_rate": 7e-4, "seed": 5}],
         "derive": {"learning_rate": "1e-3", "warmup_steps": "steps"},
         "fixed": {"dataset": "scenes", "global_batch_size": 100, "seed": 1},)";
  const auto alone = ExpandText(SweepText(include + R"("description": "no grid")"), data);
  REQUIRE(alone.runs.size() == 1);
  CHECK(alone.runs[0].spec.optimizer.learning_rate == 7e-4);
  CHECK(alone.runs[0].spec.seed == 5);
  CHECK(alone.runs[0].spec.schedule.warmup_steps == 3);
  const auto beside = ExpandText(
      SweepText(include + R"("grid": {"model": ["tiny"], "samples_seen": [100, 200]})"), data);
  CHECK(beside.runs.size() == 3);
}

TEST_CASE("An exclusion removes the grid runs that agree in all its fields") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"("grid": {"model": ["tiny", "small"],
      "samples_seen": [100, 200, 300]}, "exclude": [{"model": "small", "samples_seen": ["0.2k", 300]}],)" +
                                          kFixed),
                                data);
  CHECK(sweep.runs.size() == 4);
}

TEST_CASE("generate makes iso-FLOP profiles, crossed with the grid") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"("generate": {"models": ["tiny", "small"],
      "compute_gmacs": {"from": 10, "to": "1k", "count": 3}}, "grid": {"seed": [0, 1]},)" +
                                          kFixed),
                                data);
  REQUIRE(sweep.runs.size() == 12);
  for (size_t i = 0; i < sweep.runs.size(); ++i) {
    const double budget = i < 4 ? 10 : i < 8 ? 100 : 1000;
    const double excess = sweep.runs[i].compute_gmacs - budget;
    CHECK(excess > -0.51 * sweep.runs[i].gmacs_per_sample);
    CHECK(excess < 100.51 * sweep.runs[i].gmacs_per_sample);  // rounded up to a step
  }
}

TEST_CASE("generate makes log-spaced lengths within limits and a budget") {
  const SmallDataFolder data;
  const auto text = [](const std::string& limits) {
    return SweepText(R"("generate": {"models": ["T/7", "small"],
      "samples_seen": {"from": 1000, "to": 100000, "count": 5})" +
                     limits + "}," + kFixed);
  };
  const auto all = ExpandText(text(""), data);
  REQUIRE(all.runs.size() == 10);
  CHECK(all.runs.front().coordinates["samples_seen"] == 1000);
  CHECK(RunWith(all, "samples_seen", 3162).model == "tiny");
  CHECK(all.runs.back().coordinates["samples_seen"] == 100000);
  CHECK(ExpandText(text(R"(, "least_samples": 1001, "most_samples": 50000)"), data).runs.size() ==
        6);
  ProblemList problems;
  const auto cheap = ExpandText(text(R"(, "budget_gmacs": 100)"), data, problems);
  CHECK_FALSE(problems.has_errors());
  CHECK_THAT(problems.all().at(0).message, Catch::Contains("of 10 runs fit"));
  double total = 0;
  for (const RunRow& run : cheap.runs) total += run.compute_gmacs;
  CHECK(total <= 100);
  CHECK(total + all.runs[cheap.runs.size()].compute_gmacs > 100);
}

TEST_CASE("generate makes branches that cool down from one trunk a model") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"("generate": {"models": ["tiny", "small"],
      "samples_seen": {"from": 1000, "to": 4000, "count": 3}, "cooldown_share": 0.2},
      "grid": {"seed": [0, 1]}, "evaluations": ["items"], "derive": {"warmup_steps": "0.1 * steps"},)" +
                                          kFixed),
                                data);
  REQUIRE(sweep.runs.size() == 2 * 2 * 4);
  size_t branches = 0;
  std::set<int64_t> left_at;
  for (const RunRow& run : sweep.runs) {
    if (run.spec.start.run_id.empty()) {
      CHECK(run.spec.schedule == ScheduleSpec{"constant", 3});
      CHECK(run.spec.samples_seen == 3200);
      CHECK(run.point_kind == "final");
      continue;
    }
    ++branches;
    const RunRow& trunk = *sweep.Find(run.spec.start.run_id);
    CHECK(trunk.model == run.model);
    CHECK(trunk.spec.seed == run.spec.seed);
    CHECK(run.spec.schedule == ScheduleSpec{"cosine", 0});
    CHECK(run.spec.samples_seen == run.spec.start.samples_seen / 4);
    CHECK(run.point_kind == "cooldown");
    left_at.insert(run.spec.start.samples_seen);
  }
  CHECK(branches == 12);
  CHECK(left_at == std::set<int64_t>{800, 1600, 3200});
  for (const auto& [run_id, labels] : PointLabelsOf(sweep.runs)) {
    const bool is_trunk = sweep.Find(run_id)->spec.start.run_id.empty();
    CHECK(labels.kind == (is_trunk ? "trunk" : "cooldown"));
    CHECK(labels.schedule == (is_trunk ? "constant" : "constant+cosine"));
  }
  // Separate runs see 7,000 samples a model and seed, trunk and branches 3,200 + 1,400.
  const double gmacs = sweep.runs.front().gmacs_per_sample + sweep.runs.back().gmacs_per_sample;
  CHECK(GmacsSavedByBranches(sweep) == Approx(2 * 2400 * gmacs));
}

TEST_CASE("A wrong generate is an error") {
  const SmallDataFolder data;
  const auto problems = [&](const std::string& generate, const std::string& more = "") {
    return ProblemsOf(SweepText("\"generate\": " + generate + "," + more + kFixed), data);
  };
  CHECK_THAT(problems(R"({"models": ["tny"], "samples_seen": {"from": 1, "to": 2, "count": 2}})"),
             Catch::Contains("/generate/models/0: value 'tny'") &&
                 Catch::Contains("did you mean 'tiny'?"));
  CHECK_THAT(problems(R"({"models": ["tiny"]})"),
             Catch::Contains("/generate: expected samples_seen or compute_gmacs"));
  CHECK_THAT(problems(R"({"models": ["tiny"], "cooldown_share": 0.2, "budget_gmacs": 5,
                          "samples_seen": {"from": 1, "to": 2, "count": 2}})",
                      R"("grid": {"schedule": ["cosine"]},)"),
             Catch::Contains("/generate/budget_gmacs: cannot be combined") &&
                 Catch::Contains("field 'schedule' is given in /grid/schedule already"));
  CHECK_THAT(problems(R"({"models": ["tiny"], "samples_seen": {"from": 5, "to": 2, "count": 2}})"),
             Catch::Contains("/generate/samples_seen: 'from' is larger than 'to'"));
  CHECK_THAT(problems(R"({"models": ["tiny"], "samples_seen": {"from": 1, "to": 2, "count": 2}})",
                      R"("grid": {"model": ["tiny"]},)"),
             Catch::Contains("field 'model' is given in /grid/model already"));
}

TEST_CASE("Equal runs are one run") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(
      SweepText(R"("grid": {"model": ["tiny"], "samples_seen": [110, 120, 200]},)" + kFixed), data);
  REQUIRE(sweep.runs.size() == 1);
  CHECK(sweep.runs[0].coordinates["samples_seen"] == 110);
}

TEST_CASE("The identity of a run does not depend on names, evaluations, executor or order") {
  const SmallDataFolder data;
  const auto one = ExpandText(
      SweepText(R"("grid": {"model": ["tiny"], "samples_seen": [1000]},)" + kFixed), data);
  const auto other = ExpandText(
      SweepText(R"("executor": {"slots": 4}, "evaluations": ["items"], "curves": {"scenes": "c"},
        "fixed": {"learning_rate": 1e-3, "model": "nickname", "samples_seen": "1k", "dataset": "mine",
        "global_batch_size": 100, "seed": 0},
        "models": {"nickname": {"extends": "tiny"}}, "datasets": {"mine": {"extends": "scenes"}})"),
      data);
  CHECK(one.runs.at(0).run_id == other.runs.at(0).run_id);
  CHECK(one.runs[0].run_id == RunId(one.runs[0].spec));
  CHECK(other.runs[0].model == "nickname");
}

TEST_CASE("Evaluations are planned on the final checkpoint of every run") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"("grid": {"model": ["tiny"], "samples_seen": [1000]},
      "evaluations": ["items", {"name": "few", "extends": "items", "size": 10}],)" +
                                          kFixed),
                                data);
  const auto& evaluations = sweep.runs.at(0).evaluations;
  REQUIRE(evaluations.size() == 2);
  CHECK(evaluations[1].eval_dataset == "few");
  CHECK(evaluations[1].spec.size == 10);
  CHECK(evaluations[1].spec.task == "zeroshot_classification");
  CHECK(evaluations[0].samples_seen == 1000);
  CHECK(evaluations[0].eval_id == EvaluationId(sweep.runs[0].run_id, 1000, evaluations[0].spec));
}

TEST_CASE("A run knows where its data and vocabulary lie, and what to do without them") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(
      SweepText(R"("grid": {"model": ["tiny"], "samples_seen": [1000]},)" + kFixed), data);
  const RunRow& run = sweep.runs.at(0);
  CHECK(sweep.locations.at("c0ffee") == "/data/f");
  CHECK(sweep.locations.at(run.spec.tokenizer.vocabulary) ==
        (data.path() / "vocabularies/words.json").string());
  CHECK(run.spec.tokenizer.vocabulary == ContentIdOfFile(data.path() / "vocabularies/words.json"));
  CHECK(sweep.install_hints.at("c0ffee") == "install it");
}

TEST_CASE("A run can start from another run, at its end or before") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(kFixed + R"(, "grid": {"model": ["tiny", "small"],
      "samples_seen": [1000]}, "include": [{"model": "tiny", "samples_seen": 200, "seed": 1,
      "start": {"from": {"seed": 0, "samples_seen": 1000}, "at": 390}}])"),
                                data);
  REQUIRE(sweep.runs.size() == 3);
  const RunRow& parent = RunWith(sweep, "samples_seen", 1000);
  const RunRow& child = RunWith(sweep, "samples_seen", 200);
  CHECK(child.spec.start.run_id == parent.run_id);
  CHECK(child.spec.start.samples_seen == 400);
  CHECK(parent.point_kind == "final");
  CHECK(child.total_samples_seen == 600);
  CHECK(child.compute_gmacs == Approx(600 * parent.gmacs_per_sample));
  CHECK(sweep.runs[0].run_id == parent.run_id);  // before its child, which cost less
  CHECK(sweep.runs[1].run_id == child.run_id);
}

TEST_CASE("Children of every grid point find their own parent") {
  const SmallDataFolder data;
  const auto sweep = ExpandText(SweepText(R"("grid": {"model": ["tiny", "small"], "seed": [0, 1],
      "start": ["scratch", {"from": {"start": "scratch"}}]}, "derive": {"learning_rate": "1e-3"},
      "fixed": {"dataset": "scenes", "global_batch_size": 100, "samples_seen": 1000})"),
                                data);
  REQUIRE(sweep.runs.size() == 8);
  for (const RunRow& run : sweep.runs) {
    if (run.spec.start.run_id.empty()) continue;
    const RunRow* parent = sweep.Find(run.spec.start.run_id);
    REQUIRE(parent != nullptr);
    CHECK(parent->model == run.model);
    CHECK(parent->spec.seed == run.spec.seed);
    CHECK(run.compute_gmacs == Approx(2 * parent->compute_gmacs));
  }
}

TEST_CASE("`only` keeps the named runs and what they start from") {
  const SmallDataFolder data;
  const std::string members = R"("grid": {"model": ["tiny", "small"], "seed": [0, 1],
      "start": ["scratch", {"from": {"start": "scratch"}}]}, "derive": {"learning_rate": "1e-3"},
      "fixed": {"dataset": "scenes", "global_batch_size": 100, "samples_seen": 1000})";
  const auto all = ExpandText(SweepText(members), data);
  const auto child = std::find_if(all.runs.begin(), all.runs.end(), [](const RunRow& run) {
    return !run.spec.start.run_id.empty();
  });
  const auto only = [&](const std::string& ids) {
    return SweepText(R"("only": [)" + ids + "], " + members);
  };
  const auto part = ExpandText(only("\"" + child->run_id.substr(0, 12) + "\""), data);
  REQUIRE(part.runs.size() == 2);
  CHECK(part.runs[0].run_id == child->spec.start.run_id);
  CHECK(part.runs[1].run_id == child->run_id);
  CHECK_THAT(ProblemsOf(only(R"("xyz")"), data),
             Catch::Contains("/only/0: value 'xyz'") && Catch::Contains("none that begins so"));
  CHECK_THAT(ProblemsOf(only(R"("")"), data), Catch::Contains("/only/0"));
}

TEST_CASE("A start that names no run, several, or the run itself is an error") {
  const SmallDataFolder data;
  const auto problems = [&](const std::string& start) {
    return ProblemsOf(SweepText(kFixed + R"(, "grid": {"model": ["tiny"], "seed": [0, 1],
      "samples_seen": [1000]}, "include": [{"model": "tiny", "samples_seen": 200, "seed": 7,
      "start": )" + start + "}]"),
                      data);
  };
  CHECK_THAT(problems(R"({"from": {"seed": 5, "samples_seen": 1000}})"),
             Catch::Contains("/include/0/start: no run of this sweep has"));
  CHECK_THAT(problems(R"({"from": {"sed": 1}})"), Catch::Contains("did you mean 'seed'?"));
  CHECK_THAT(problems(R"({"from": {"seed": 1, "samples_seen": 1000}, "at": 5000})"),
             Catch::Contains("start at 5000 samples, expected at most the 1000"));
  CHECK_THAT(problems(R"({"file": "absent.safetensors"})"), Catch::Contains("absent.safetensors"));
  CHECK_THAT(problems(R"({"form": {}})"), Catch::Contains("expected \"scratch\", {\"from\""));
}

TEST_CASE("Runs that start from each other are an error") {
  const SmallDataFolder data;
  CHECK_THAT(ProblemsOf(SweepText(kFixed + R"(, "include": [
      {"model": "tiny", "samples_seen": 100, "start": {"from": {"samples_seen": 200}}},
      {"model": "tiny", "samples_seen": 200, "start": {"from": {"samples_seen": 100}}}])"),
                        data),
             Catch::Contains("starts, in the end, from itself"));
}

TEST_CASE("A start that several runs fit names them") {
  const SmallDataFolder data;
  CHECK_THAT(ProblemsOf(SweepText(R"("fixed": {"dataset": "scenes", "global_batch_size": 100},
      "derive": {"learning_rate": "1e-3"}, "include": [
      {"model": "tiny", "samples_seen": 100, "weight_decay": 0.1},
      {"model": "tiny", "samples_seen": 100, "beta1": 0.8},
      {"model": "tiny", "samples_seen": 200, "start": {"from": {"samples_seen": 100}}}])"),
                        data),
             Catch::Contains("2 runs of this sweep have {\"samples_seen\":100}, expected one") &&
                 Catch::Contains("weight_decay 0.1") && Catch::Contains("beta1 0.8"));
}

TEST_CASE("A run can start from a file, known by its content") {
  const SmallDataFolder data;
  WriteTextFile(data.path() / "w.safetensors", "weights");
  const auto sweep = ExpandText(SweepText(kFixed + R"(, "grid": {"model": ["tiny"],
      "samples_seen": [1000], "start": [{"file": "w.safetensors"}]})"),
                                data);
  const std::string content = ContentIdOfFile(data.path() / "w.safetensors");
  CHECK(sweep.runs.at(0).spec.start.file == content);
  CHECK(sweep.locations.at(content) == (data.path() / "w.safetensors").string());
}

}  // namespace sweep
