#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "core/output.h"
#include "fit/formula.h"
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
  Print("{}\n", json.dump(1));
}

// --format: only what was fitted, to read or to paste.
void PrintFormula(const FittedGroups& fitted, FormulaStyle style) {
  std::vector<FitReport> reports;
  for (const FitOutcome& outcome : fitted.outcomes) {
    if (outcome.report) reports.push_back(*outcome.report);
  }
  Print("{}", FormulaText(reports, style));
}

void PrintText(const FittedGroups& fitted) {
  if (fitted.groups.size() <= kInFull) {
    for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
      if (!fitted.outcomes[g].report) continue;
      Print("{}\n{}", GroupName(fitted.groups[g].group), FullText(*fitted.outcomes[g].report));
    }
    return;
  }
  std::vector<FitReport> reports;
  for (const FitOutcome& outcome : fitted.outcomes) {
    if (outcome.report) reports.push_back(*outcome.report);
  }
  Print("{}", FitTables(reports));
}

struct FitCommandWords {
  FitWords fit;
  std::string format = "text";
};

int RunFit(const GlobalOptions& global, const FitCommandWords& command_words) {
  const FitWords& words = command_words.fit;
  const FormulaStyle style = ParseFormulaStyle(command_words.format);
  const FittedGroups fitted = FitGroups(LoadRows(global, words), words);
  if (global.json) {
    PrintJson(fitted);
  } else if (style != FormulaStyle::kText) {
    PrintFormula(fitted, style);
  } else {
    PrintText(fitted);
  }
  int code = 0;
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    if (fitted.outcomes[g].report) continue;
    Tell("sweep: {}: {}\n", GroupName(fitted.groups[g].group), fitted.outcomes[g].failure);
    code = static_cast<int>(FailureCode::kData);
  }
  return code;
}

}  // namespace

void AddFitCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<FitCommandWords>();
  CLI::App* command =
      app.add_subcommand("fit", "Fit a scaling law to the store's points, or to a CSV file's");
  command->footer(
      "Example:\n"
      "  sweep fit                                       one power law for each curve, task, set "
      "and metric\n"
      "  sweep fit --law power_floor --curve laion --json\n"
      "  sweep fit --table runs.csv --law power --map C=flops,E='err/100' --by family --select "
      "pareto\n"
      "  sweep fit --curve laion --format latex          coefficients for a paper; also csv, "
      "python, "
      "cpp");
  AddFitWords(*command, words->fit);
  command
      ->add_option(
          "--format", words->format, "text, csv, latex, python or cpp: coefficients to paste")
      ->capture_default_str();
  command->callback(
      [&global, &action, words] { action = [&global, words] { return RunFit(global, *words); }; });
}

}  // namespace sweep
