#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "fit/predict.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_options.h"

namespace sweep {
namespace {

struct PredictWords {
  FitWords fit;
  std::vector<std::string> at;
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
  if (words.at.empty())
    throw Failure(FailureCode::kUsage,
                  "predict needs --at with the law's variables, as --at C=1e12");
  const FittedGroups fitted = FitGroups(LoadRows(global, words.fit), words.fit);
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
    for (const std::string& at : words.at) {
      const Prediction prediction = Predict(*outcome.report, ReadTarget(at));
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
      "  sweep predict --at C=6.5e12 --metric acc1\n"
      "  sweep predict --table runs.csv --law chinchilla --map N=params,D=tokens,L=loss --at "
      "N=7e10,D=1.4e12");
  AddFitWords(*command, words->fit);
  command->add_option("--at", words->at, "Target, as C=1e12 or N=7e10,D=1.4e12; may be repeated")
      ->allow_extra_args(false);
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunPredict(global, *words); };
  });
}

}  // namespace sweep
