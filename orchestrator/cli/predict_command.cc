#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "core/failure.h"
#include "core/output.h"
#include "db/store.h"
#include "fit/average.h"
#include "fit/fit.h"
#include "fit/predict.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_curves.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/cli/predict_target.h"

namespace sweep {
namespace {

struct PredictWords {
  FitWords fit;
  std::vector<std::string> at;
  std::string model;
  std::string samples;
  std::string then;      // law of the second step
  std::string then_map;  // its observable
};

struct PublishedCurve {
  PublishedCurves all;
  Curve curve;
};

// A published curve is there without any store.
std::optional<PublishedCurve> FindPublishedCurve(const GlobalOptions& global,
                                                 const PredictWords& words) {
  const std::string& name = words.fit.query.curve;
  if (name.empty() || !words.fit.table.empty()) return std::nullopt;
  if (Store::Exists(global.store)) {
    const Table own = LoadRows(global, words.fit);
    const size_t column = own.Find("curve");
    for (const auto& row : own.rows) {
      if (row[column] == name) return std::nullopt;
    }
  }
  PublishedCurves all = LoadPublishedCurves();
  const auto curve = std::find_if(
      all.curves.begin(), all.curves.end(), [&](const Curve& one) { return one.name == name; });
  if (curve == all.curves.end()) return std::nullopt;
  const Curve found = *curve;
  return PublishedCurve{std::move(all), found};
}

// With its own recipe.
FittedGroups FitPublishedCurve(const PublishedCurve& published, const FitWords& words) {
  FittedGroups fitted;
  for (const CurveCell& cell :
       PointsOfCurve(published.all.rows, published.curve, published.all, words).cells) {
    FitOptions options = ReadFitWords(words);
    options.select = ParseSelection(cell.select);
    fitted.groups.push_back(cell.group);
    fitted.groups.back().group = {{"curve", cell.curve},
                                  {"task", cell.task},
                                  {"eval_dataset", cell.eval_dataset},
                                  {"metric", cell.metric}};
    fitted.outcomes.push_back(FitAll({cell.group.points}, options).front());
    if (fitted.outcomes.back().report)
      fitted.outcomes.back().report->group = fitted.groups.back().group;
  }
  return fitted;
}

std::string IntervalText(const std::optional<double>& low, const std::optional<double>& high) {
  const auto text = [](const std::optional<double>& limit) {
    return limit ? fmt::format("{:.6g}", *limit) : std::string("unbounded");
  };
  return fmt::format("[{}, {}]", text(low), text(high));
}

void Show(const FitReport& fit, const Prediction& p) {
  Print("  at {}: {:.6g}", TargetText(p.at), p.value);
  if (!p.method.empty()) {
    Print("; {:.0f} % for a new point {}, for the law {} (by {})",
          100 * fit.level,
          IntervalText(p.low, p.high),
          IntervalText(p.mean_low, p.mean_high),
          p.method);
  }
  Print("\n");
  if (!p.warning.empty()) Print("    {}\n", p.warning);
}

void Show(const AveragedPrediction& p, double level) {
  Print("  over {} laws: {:.6g}", p.laws.size(), p.value);
  if (!p.laws.empty() && (p.low || p.high)) {
    Print("; {:.0f} % with the choice of law for a new point {}, for the law {}",
          100 * level,
          IntervalText(p.low, p.high),
          IntervalText(p.mean_low, p.mean_high));
  }
  Print("\n    weights: AICc, which compares laws inside the data only\n");
  for (const LawShare& share : p.laws) {
    if (share.weight < 5e-3) continue;
    Print("    {:<16} weight {:.2f}: {:.6g}{}\n",
          share.law,
          share.weight,
          share.prediction.value,
          share.within.empty() ? "" : " (a case of " + share.within + ", in its interval)");
  }
}

void Show(const ChainedPrediction& p, const FitReport& second) {
  Print("    then by {}: {:.6g}", second.law, p.second.value);
  if (p.low) {
    Print("; {:.0f} % for a new point with both laws' uncertainty [{:.6g}, {:.6g}]",
          100 * second.level,
          *p.low,
          *p.high);
  }
  Print("\n");
  if (!p.second.warning.empty()) Print("    {}\n", p.second.warning);
}

// The second step's law on the same rows and groups: its variable is what the first step observes.
std::optional<FittedGroups> FitSecondStep(const GlobalOptions& global, const PredictWords& words) {
  if (words.then.empty()) return std::nullopt;
  if (words.fit.query.map.empty() || words.then_map.empty())
    throw Failure(
        FailureCode::kUsage,
        "--then LAW needs --map for the first step and --then-map for its own observable");
  const Law& law = FindLaw(words.then);
  if (law.variables.size() != 1)
    throw Failure(FailureCode::kUsage, "--then takes a law of one variable, not " + words.then);
  FitWords second = words.fit;
  second.law = words.then;
  second.fix.clear();
  second.bounds.clear();
  second.start.clear();
  second.targets.clear();
  second.query.map = words.then_map;
  for (const Assignment& part : ParseAssignments(words.fit.query.map, "--map")) {
    if (IsObservable(part.name)) second.query.map += "," + law.variables.front() + "=" + part.value;
  }
  return FitGroups(LoadRows(global, words.fit), second);
}

const FitReport& SecondOf(const FittedGroups& second, const Json& group) {
  for (std::size_t g = 0; g < second.groups.size(); ++g) {
    if (second.groups[g].group != group) continue;
    if (!second.outcomes[g].report)
      throw Failure(FailureCode::kData, "--then: " + second.outcomes[g].failure);
    return *second.outcomes[g].report;
  }
  throw Failure(FailureCode::kData, "--then: no rows of " + GroupName(group));
}

// Data that is new no more: a law without repetitions does not know that.
std::string RepetitionWarning(const Table& table,
                              const PointGroup& group,
                              const std::map<std::string, double>& target) {
  constexpr double kHarmless = 4;  // passes (Muennighoff et al. 2023)
  if (!table.Has("data_scale") || !target.contains("D")) return "";
  double unique = 0;
  for (const std::size_t row : group.rows) {
    const std::string& cell = table.rows[row][table.Find("data_scale")];
    if (!cell.empty()) unique = std::max(unique, std::strtod(cell.c_str(), nullptr));
  }
  if (!(unique > 0) || target.at("D") <= kHarmless * unique) return "";
  return fmt::format(
      "the target repeats {:.3g} unique pairs {:.1f} times: a law of fresh data promises too much "
      "there, use data_constrained",
      unique,
      target.at("D") / unique);
}

int RunPredict(const GlobalOptions& global, const PredictWords& words) {
  if (words.model.empty() != words.samples.empty() || (words.at.empty() && words.model.empty())) {
    throw Failure(FailureCode::kUsage,
                  "predict needs a target: --model and --samples together, or --at with the law's "
                  "variables, as --at "
                  "C=1e12");
  }
  const std::optional<PublishedCurve> published = FindPublishedCurve(global, words);
  std::vector<Target> targets;
  targets.reserve(words.at.size() + 1);
  for (const std::string& at : words.at) targets.push_back(ReadTarget(at));
  const size_t exact_targets = targets.size();
  if (!words.model.empty())
    targets.push_back(TargetOfModel(words.model, words.samples, published.has_value()));
  FitWords fit = words.fit;
  fit.targets = targets;
  const FittedGroups fitted =
      published ? FitPublishedCurve(*published, fit) : FitGroups(LoadRows(global, fit), fit);
  const std::optional<FittedGroups> second = FitSecondStep(global, words);
  const std::optional<Table> table =
      published ? std::nullopt : std::optional<Table>(LoadRows(global, words.fit));
  Json list = Json::array();
  int code = 0;
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    const FitOutcome& outcome = fitted.outcomes[g];
    if (!outcome.report) {
      Tell("sweep: {}: {}\n", GroupName(fitted.groups[g].group), outcome.failure);
      code = static_cast<int>(FailureCode::kData);
      continue;
    }
    if (!global.json)
      Print("{}\n  {}\n", GroupName(fitted.groups[g].group), ShortText(*outcome.report));
    Json predictions = Json::array();
    for (size_t t = 0; t < targets.size(); ++t) {
      const auto target = t < exact_targets ? targets[t] : ForLaw(targets[t], *outcome.report);
      const Prediction prediction = Predict(*outcome.report, target);
      predictions.push_back(ToJson(prediction));
      if (!global.json) Show(*outcome.report, prediction);
      if (words.fit.law == "auto") {
        const AveragedPrediction averaged =
            PredictOverLaws(fitted.groups[g].points, ReadFitWords(words.fit), target);
        predictions.back()["averaged"] = ToJson(averaged);
        if (!global.json) Show(averaged, outcome.report->level);
      }
      if (second) {
        const FitReport& report = SecondOf(*second, fitted.groups[g].group);
        const ChainedPrediction chained = PredictChain(*outcome.report, report, target);
        predictions.back()["then"] = ToJson(chained);
        if (!global.json) Show(chained, report);
      }
      const std::string repeats =
          table ? RepetitionWarning(*table, fitted.groups[g], targets[t]) : "";
      if (!repeats.empty()) predictions.back()["repetition_warning"] = repeats;
      if (!repeats.empty() && !global.json) Print("    {}\n", repeats);
    }
    list.push_back({{"fit", ToJson(*outcome.report)}, {"predictions", predictions}});
  }
  if (global.json)
    Print("{}\n", Json{{"schema", "sweep.predict/1"}, {"predictions", list}}.dump(1));
  return code;
}

}  // namespace

void AddPredictCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<PredictWords>();
  CLI::App* command = app.add_subcommand(
      "predict",
      "What a fitted law says at a target, with its interval and its distance from the data");
  command->footer(
      "Example:\n"
      "  sweep predict --curve laion --model H/14 --samples laion:34B\n"
      "  sweep predict --at C=6.5e12 --metric acc1\n"
      "  sweep predict --table runs.csv --law chinchilla --map N=params,D=tokens,L=loss --at "
      "N=7e10,D=1.4e12\n"
      "  sweep predict --table runs.csv --law auto --map C=flops,L=loss --at C=1e24     over all "
      "laws\n"
      "  sweep predict --table runs.csv --law power_floor --map C=flops,L=loss --then sigmoid "
      "--then-map E='1-acc' --at C=1e24");
  AddFitWords(*command, words->fit);
  command->add_option("--at", words->at, "Target, as C=1e12 or N=7e10,D=1.4e12; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--model", words->model, "Target by a named model, with --samples");
  command->add_option(
      "--samples", words->samples, "Samples seen by that model: 128k, 12.8B, laion:34B");
  command->add_option("--then", words->then, "Second step: a law of what the first one predicts");
  command->add_option("--then-map", words->then_map, "Observable of the second step: E='1-acc'");
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunPredict(global, *words); };
  });
}

}  // namespace sweep
