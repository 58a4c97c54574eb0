#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/cli/fit_table.h"

namespace sweep {
namespace {

constexpr std::size_t kInFull = 3;  // more groups than this are printed as a table

void PrintJson(const FittedGroups& fitted) {
  std::vector<FitReport> reports;
  Json failures = Json::array();
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    if (fitted.outcomes[g].report) {
      reports.push_back(*fitted.outcomes[g].report);
    } else {
      failures.push_back(
          {{"group", fitted.groups[g].group}, {"message", fitted.outcomes[g].failure}});
    }
  }
  Json json = ToJson(reports);
  json["failures"] = std::move(failures);
  fmt::print("{}\n", json.dump(1));
}

void PrintText(const FittedGroups& fitted) {
  if (fitted.groups.size() <= kInFull) {
    for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
      if (!fitted.outcomes[g].report) continue;
      fmt::print("{}\n{}", GroupName(fitted.groups[g].group), FullText(*fitted.outcomes[g].report));
    }
    return;
  }
  std::vector<FitReport> reports;
  for (const FitOutcome& outcome : fitted.outcomes) {
    if (outcome.report) reports.push_back(*outcome.report);
  }
  fmt::print("{}", FitTables(reports));
}

int RunFit(const GlobalOptions& global, const FitWords& words) {
  const FittedGroups fitted = FitGroups(LoadRows(global, words), words);
  if (global.json) {
    PrintJson(fitted);
  } else {
    PrintText(fitted);
  }
  int code = 0;
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    if (fitted.outcomes[g].report) continue;
    fmt::print(
        stderr, "sweep: {}: {}\n", GroupName(fitted.groups[g].group), fitted.outcomes[g].failure);
    code = static_cast<int>(FailureCode::kData);
  }
  return code;
}

}  // namespace

void AddFitCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<FitWords>();
  CLI::App* command =
      app.add_subcommand("fit", "Fit a scaling law to the store's points, or to a CSV file's");
  command->footer(
      "Example:\n"
      "  sweep fit                                       one power law for each curve, task, set "
      "and metric\n"
      "  sweep fit --law power_floor --curve laion --json\n"
      "  sweep fit --table runs.csv --law power --map C=flops,E='err/100' --by family --select "
      "pareto");
  AddFitWords(*command, *words);
  command->callback(
      [&global, &action, words] { action = [&global, words] { return RunFit(global, *words); }; });
}

}  // namespace sweep
