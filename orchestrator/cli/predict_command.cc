#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "core/compute.h"
#include "core/failure.h"
#include "fit/fit.h"
#include "fit/predict.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_curves.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/sweep_file/quantity.h"

namespace sweep {
namespace {

struct PredictWords {
  FitWords fit;
  std::vector<std::string> at;
  std::string model;
  std::string samples;
};

std::map<std::string, double> ReadTarget(const std::string& text) {
  std::map<std::string, double> target;
  for (const auto& [name, value] : ParseAssignments(text, "--at")) {
    std::size_t used = 0;
    try {
      target[name] = std::stod(value, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used != value.size())
      throw Failure(FailureCode::kUsage, fmt::format("--at {}: '{}' is not a number", name, value));
  }
  return target;
}

// The published tables count a model's GMACs in two decimals, and their curves are fitted to such
// values.
double PublishedGmacs(double gmacs) {
  return std::round(gmacs * 100) / 100;
}

std::map<std::string, double> TargetOfModel(const PredictWords& words, bool published) {
  const Catalog catalog = LoadCatalog(DataPath(""));
  const std::optional<std::string> name = catalog.FullModelName(words.model);
  if (!name) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--model {}: no such model{}; `sweep models` lists them",
                              words.model,
                              DidYouMean(words.model, catalog.ModelNames())));
  }
  const std::optional<Quantity> samples = ParseQuantity(words.samples, catalog.counts);
  if (!samples || !(samples->value > 0)) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--samples '{}': expected a count such as 128k, 12.8B or laion:34B",
                              words.samples));
  }
  const ModelSpec& model = catalog.models.at(*name).spec;
  const double gmacs = CountForwardGmacs(model).total();
  return {{"C", (published ? PublishedGmacs(gmacs) : gmacs) * samples->value},
          {"N", static_cast<double>(CountParameters(model).total())},
          {"D", samples->value}};
}

// A law takes the variables it has from a target that may name more.
std::map<std::string, double> ForLaw(const std::map<std::string, double>& target,
                                     const FitReport& report) {
  std::map<std::string, double> wanted;
  for (const auto& [variable, value] : target) {
    if (report.ranges.contains(variable)) wanted[variable] = value;
  }
  return wanted;
}

// A published curve is there without any store, with its own recipe.
std::optional<FittedGroups> FitPublishedCurve(const GlobalOptions& global,
                                              const PredictWords& words) {
  const std::string& name = words.fit.query.curve;
  if (name.empty() || !words.fit.table.empty()) return std::nullopt;
  if (std::filesystem::exists(global.store)) {
    const Table own = LoadRows(global, words.fit);
    const size_t column = own.Find("curve");
    for (const auto& row : own.rows) {
      if (row[column] == name) return std::nullopt;
    }
  }
  const PublishedCurves published = LoadPublishedCurves();
  const auto curve = std::find_if(published.curves.begin(),
                                  published.curves.end(),
                                  [&](const Curve& candidate) { return candidate.name == name; });
  if (curve == published.curves.end()) return std::nullopt;
  FittedGroups fitted;
  for (const CurveCell& cell : PointsOfCurve(published.rows, *curve, published, words.fit).cells) {
    FitOptions options = ReadFitWords(words.fit);
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

std::string Target(const Prediction& prediction) {
  std::string text;
  for (const auto& [name, value] : prediction.at)
    text += fmt::format("{}{} = {:.6g}", text.empty() ? "" : ", ", name, value);
  return text;
}

void Print(const FitReport& fit, const Prediction& p) {
  fmt::print("  at {}: {:.6g}", Target(p), p.value);
  if (p.low) {
    fmt::print("; {:.0f} % for a new point [{:.6g}, {:.6g}], for the law [{:.6g}, {:.6g}]",
               100 * fit.level,
               *p.low,
               *p.high,
               *p.mean_low,
               *p.mean_high);
  }
  fmt::print("\n");
  if (!p.warning.empty()) fmt::print("    {}\n", p.warning);
}

int RunPredict(const GlobalOptions& global, const PredictWords& words) {
  if (words.model.empty() != words.samples.empty() || (words.at.empty() && words.model.empty())) {
    throw Failure(FailureCode::kUsage,
                  "predict needs a target: --model and --samples together, or --at with the law's "
                  "variables, as --at "
                  "C=1e12");
  }
  const std::optional<FittedGroups> published = FitPublishedCurve(global, words);
  const FittedGroups fitted =
      published ? *published : FitGroups(LoadRows(global, words.fit), words.fit);
  std::vector<std::map<std::string, double>> targets;
  for (const std::string& at : words.at) targets.push_back(ReadTarget(at));
  const size_t exact_targets = targets.size();
  if (!words.model.empty()) targets.push_back(TargetOfModel(words, published.has_value()));
  Json list = Json::array();
  int code = 0;
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    const FitOutcome& outcome = fitted.outcomes[g];
    if (!outcome.report) {
      fmt::print(stderr, "sweep: {}: {}\n", GroupName(fitted.groups[g].group), outcome.failure);
      code = static_cast<int>(FailureCode::kData);
      continue;
    }
    if (!global.json)
      fmt::print("{}\n  {}\n", GroupName(fitted.groups[g].group), ShortText(*outcome.report));
    Json predictions = Json::array();
    for (size_t t = 0; t < targets.size(); ++t) {
      const auto target = t < exact_targets ? targets[t] : ForLaw(targets[t], *outcome.report);
      const Prediction prediction = Predict(*outcome.report, target);
      predictions.push_back(ToJson(prediction));
      if (!global.json) Print(*outcome.report, prediction);
    }
    list.push_back({{"fit", ToJson(*outcome.report)}, {"predictions", predictions}});
  }
  if (global.json)
    fmt::print("{}\n", Json{{"schema", "sweep.predict/1"}, {"predictions", list}}.dump(1));
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
      "N=7e10,D=1.4e12");
  AddFitWords(*command, words->fit);
  command->add_option("--at", words->at, "Target, as C=1e12 or N=7e10,D=1.4e12; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--model", words->model, "Target by a named model, with --samples");
  command->add_option(
      "--samples", words->samples, "Samples seen by that model: 128k, 12.8B, laion:34B");
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunPredict(global, *words); };
  });
}

}  // namespace sweep
