#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>

#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/cli/predict_target.h"
#include "orchestrator/cost_model.h"
#include "orchestrator/data_files.h"
#include "orchestrator/progress.h"
#include "orchestrator/suggestion.h"
#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

constexpr std::size_t kUsualCount = 4;

struct SuggestWords {
  FitWords fit;
  std::string sweep_file;
  std::vector<std::string> at;
  std::string model, samples;
  std::string accelerator;
  std::optional<double> budget_hours;
  std::optional<std::size_t> count;
  std::string write;
};

// All that is shown. The references must outlive it.
struct Suggestion {
  const ExpandedSweep& sweep;
  const CandidateRuns& runs;
  const Workplace& workplace;
  std::vector<Json> groups;  // one a question
  std::string kind;          // of the points asked about
  Target target;
  Design design;
};

// Of the words, else of the sweep file's first fit, else `power`.
std::string LawNameOf(const SuggestWords& words, const SweepFile& file) {
  std::string name = words.fit.law;
  if (name.empty() && !file.fits.empty()) name = file.fits.front().law;
  if (name.empty()) name = "power";
  if (name == "auto")
    throw Failure(FailureCode::kUsage, "suggest needs one law: --law NAME (`sweep laws`)");
  return name;
}

bool IsEvaluated(const SweepFile& file, const std::string& eval_dataset) {
  return std::any_of(file.evaluations.begin(), file.evaluations.end(), [&](const auto& one) {
    return one.name == eval_dataset;
  });
}

// What runs of this file can say something about: one curve, and its evaluations here.
std::vector<PointGroup> GroupsToAsk(const Table& table,
                                    const SuggestWords& words,
                                    const SweepFile& file,
                                    const Law& law) {
  PointQuery query = words.fit.query;
  query.by.clear();
  std::vector<PointGroup> groups = MakeGroups(table, query, law);
  std::erase_if(groups, [&](const PointGroup& group) {
    const Json& key = group.group;
    return (key.contains("eval_dataset") && !IsEvaluated(file, key.at("eval_dataset"))) ||
           (words.fit.query.metric.empty() && key.contains("metric") &&
            !IsMainMetric(key.at("metric")));
  });
  if (groups.empty()) {
    throw Failure(FailureCode::kData,
                  fmt::format("{} has no point of this sweep's evaluations: run its cheapest runs "
                              "first, then ask again",
                              table.origin));
  }
  for (const PointGroup& group : groups) {
    if (group.group.value("curve", "") == groups.front().group.value("curve", "")) continue;
    throw Failure(FailureCode::kUsage,
                  fmt::format("points of several curves ({}, {}): choose one with --curve",
                              groups.front().group.value("curve", ""),
                              group.group.value("curve", "")));
  }
  return groups;
}

// "±5.2 %" of a logarithm's standard deviation; "±0.012" of the value's own.
std::string SdText(double sd, Residual space) {
  return space == Residual::kLog ? fmt::format("{:.3g} %", 100 * std::expm1(sd))
                                 : fmt::format("{:.3g}", sd);
}

void PrintSteps(const Suggestion& s, Residual space) {
  std::vector<std::string> header = {
      "run", "model", "dataset", "samples_seen", s.workplace.hours_unit()};
  for (const Json& group : s.groups) {
    header.push_back(fmt::format("then {} {}",
                                 group.value("eval_dataset", ""),
                                 group.value("metric", std::string("value"))));
  }
  std::vector<std::vector<std::string>> rows;
  for (const DesignStep& step : s.design.steps) {
    const RunRow& run = *s.runs.runs[step.candidate];
    std::vector<std::string> row = {run.run_id.substr(0, 8),
                                    run.model,
                                    run.dataset,
                                    HumanCount(static_cast<double>(run.total_samples_seen)),
                                    fmt::format("{:.3g}", step.cost)};
    for (const double sd : step.after) row.push_back(SdText(sd, space));
    rows.push_back(std::move(row));
  }
  Print("{}\n", FormatTable(header, rows));
}

void Show(const Suggestion& s, const std::string& law, Residual space) {
  PrintSteps(s, space);
  double hours = 0;
  for (const DesignStep& step : s.design.steps) hours += step.cost;
  const std::size_t before = RunsOnTheWay(s.runs, s.design).size();
  Print("{} of {} open runs{}, {:.4g} {}{}\n",
        s.design.steps.size(),
        s.runs.open(),
        s.kind.empty() || s.kind == "all" ? "" : " of kind " + s.kind,
        hours,
        s.workplace.hours_unit(),
        before == 0 ? "" : fmt::format(", with {} that they start from", before));
  for (std::size_t q = 0; q < s.groups.size(); ++q) {
    const Knowledge& k = s.design.questions[q];
    Print(
        "{}: {} at {} is known to {}, then to {} (one standard deviation; {} near-best {}, a "
        "run scatters by {})\n",
        GroupName(s.groups[q]),
        law,
        TargetText(s.target),
        SdText(k.before, space),
        SdText(k.after, space),
        k.fits,
        k.fits == 1 ? "fit" : "fits",
        SdText(k.scatter, space));
  }
}

Json SuggestionJson(const Suggestion& s, const std::string& law, Residual space) {
  Json steps = Json::array();
  for (const DesignStep& step : s.design.steps) {
    const RunRow& run = *s.runs.runs[step.candidate];
    steps.push_back({{"run_id", run.run_id},
                     {"model", run.model},
                     {"dataset", run.dataset},
                     {"samples_seen", run.total_samples_seen},
                     {"compute_gmacs", run.compute_gmacs},
                     {"at", s.runs.candidates[step.candidate].at},
                     {"device_hours", step.cost},
                     {"sd_after", step.after}});
  }
  Json questions = Json::array();
  for (std::size_t q = 0; q < s.groups.size(); ++q) {
    const Knowledge& k = s.design.questions[q];
    questions.push_back({{"group", s.groups[q]},
                         {"sd_before", k.before},
                         {"sd_after", k.after},
                         {"scatter", k.scatter},
                         {"near_best_fits", k.fits}});
  }
  Json on_the_way = Json::array();
  for (const RunRow* run : RunsOnTheWay(s.runs, s.design)) on_the_way.push_back(run->run_id);
  return {{"schema", "sweep.suggestion/1"},
          {"law", law},
          {"residual", ToString(space)},
          {"target", s.target},
          {"unit", s.workplace.hours_unit()},
          {"kind", s.kind},
          {"open_runs", s.runs.open()},
          {"under_way", s.runs.under_way.size()},
          {"questions", questions},
          {"runs", steps},
          {"on_the_way", on_the_way}};
}

void Write(const Suggestion& s, const std::string& name) {
  std::vector<std::string> ids;
  for (const DesignStep& step : s.design.steps) ids.push_back(s.runs.runs[step.candidate]->run_id);
  const std::filesystem::path path = std::filesystem::absolute(name);
  const Json document = SuggestedSweepFile(s.sweep, ids, path.parent_path());
  if (!PublishFileOnce(path, document.dump(2) + "\n"))
    throw Failure(FailureCode::kUsage, name + " exists; --write never replaces a file");
}

int Suggest(const GlobalOptions& global, SuggestWords words) {
  const Target asked = ReadOneTarget("suggest", words.at, words.model, words.samples);
  const SweepFile file = ReadSweepFile(words.sweep_file, LoadCatalog(DataPath("")));
  const ExpandedSweep sweep = Expand(file);
  // The sweep file's first fit gives the law, and its points with it.
  if (words.fit.law.empty() && words.fit.query.kind.empty() && !file.fits.empty())
    words.fit.query.kind = file.fits.front().kind;
  const std::string law_name = LawNameOf(words, file);
  const Law& law = FindLaw(law_name);
  FitWords fit = words.fit;
  fit.law = law_name;
  const FitOptions options = ReadFitWords(fit);
  const Residual space = options.residual.value_or(law.residual);

  const std::vector<PointGroup> groups = GroupsToAsk(LoadRows(global, words.fit), words, file, law);
  const Store store(global.store, Store::Access::kRead);
  const TrainRates rates =
      KnownRates(WorkplaceOf(file.executor, file.trainer, words.accelerator), store);
  PointQuery alike = words.fit.query;  // to the points that there are
  alike.kind = groups.front().kind;
  const CandidateRuns runs =
      FindCandidates(sweep, store.States(), rates, groups.front().group, alike, law);
  if (runs.open() == 0)
    throw Failure(FailureCode::kData,
                  fmt::format("{}: no run of this curve{} is left to choose",
                              words.sweep_file,
                              alike.kind.empty() ? "" : " and of kind " + alike.kind));

  Suggestion s{sweep, runs, rates.workplace(), {}, alike.kind, TargetOfLaw(law, asked), {}};
  std::vector<DesignQuestion> questions;
  for (const PointGroup& group : groups) {
    s.groups.push_back(group.group);
    questions.push_back({group.points, options, s.target});
  }
  DesignOptions design{.under_way = runs.under_way};
  if (words.budget_hours) design.budget = *words.budget_hours;
  if (words.count) design.most = *words.count;
  if (!words.budget_hours && !words.count) design.most = kUsualCount;
  s.design = ChooseMeasurements(questions, runs.candidates, design);
  if (s.design.steps.empty()) {
    throw Failure(FailureCode::kBudget,
                  fmt::format("no open run costs at most the budget of {:.4g} {}",
                              design.budget,
                              s.workplace.hours_unit()));
  }
  if (!words.write.empty()) Write(s, words.write);
  if (global.json) {
    Json json = SuggestionJson(s, law_name, space);
    json["sweep_file"] = words.write.empty() ? Json(nullptr) : Json(words.write);
    Print("{}\n", json.dump(1));
    return 0;
  }
  Show(s, law_name, space);
  if (!words.write.empty()) Print("\n{}: `sweep run {}` makes them\n", words.write, words.write);
  return 0;
}

}  // namespace

void AddSuggestCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<SuggestWords>();
  words->fit.law.clear();
  CLI::App* command = app.add_subcommand(
      "suggest", "Which runs of a sweep to make next, to know a law's value at a target better");
  command->footer(
      "Example:\n"
      "  sweep suggest grid.json --curve laion --law chinchilla --model ViT-H-14 --samples "
      "laion:34B --count 3\n"
      "  sweep suggest grid.json --at C=1e12 --budget 200 --write next.json && sweep run "
      "next.json\n"
      "Runs without a result are weighed by how much they shrink the extrapolation's variance for "
      "their cost (docs/fitting.md). Fits to points so chosen say so.");
  command->add_option("sweep_file", words->sweep_file, "Sweep file (JSON) to choose from")
      ->required();
  command->add_option("--model", words->model, "Target: a named model, with --samples");
  command->add_option("--samples", words->samples, "Target: samples seen by that model");
  command->add_option("--at", words->at, "Target by the law's variables, as C=1e12")
      ->allow_extra_args(false);
  command
      ->add_option("--budget", words->budget_hours, "GPU-hours to spend (core-hours without GPUs)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--count",
                   words->count,
                   fmt::format("How many runs to choose (default: {}, with --budget any number)",
                               kUsualCount))
      ->check(CLI::PositiveNumber);
  command->add_option("--accelerator",
                      words->accelerator,
                      "As if runs worked on a100, h100, h200 or core, by what is assumed of it");
  command->add_option(
      "--write", words->write, "Write a sweep file of these runs alone (never over one)");
  AddFitWords(*command, words->fit);
  command->callback(
      [&global, &action, words] { action = [&global, words] { return Suggest(global, *words); }; });
}

}  // namespace sweep
