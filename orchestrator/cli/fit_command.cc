#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/text_table.h"

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

std::string ValueWithInterval(const Estimate& estimate) {
  const auto limit = [](const std::optional<double>& v) {
    return v ? fmt::format("{:.4g}", *v) : std::string("?");
  };
  return fmt::format("{:.5g} [{}, {}]", estimate.value, limit(estimate.low), limit(estimate.high));
}

void PrintTable(const FittedGroups& fitted) {
  std::vector<std::string> header;
  for (const auto& [column, value] : fitted.groups.front().group.items()) header.push_back(column);
  header.emplace_back("n");
  std::vector<std::vector<std::string>> rows;
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    const FitOutcome& outcome = fitted.outcomes[g];
    if (!outcome.report) continue;
    if (rows.empty()) {
      for (const Estimate& e : outcome.report->estimates) header.push_back(e.name);
      header.emplace_back("note");
    }
    std::vector<std::string> row;
    for (const auto& [column, value] : fitted.groups[g].group.items())
      row.push_back(value.get<std::string>());
    row.push_back(fmt::format("{}", outcome.report->n));
    for (const Estimate& e : outcome.report->estimates) row.push_back(ValueWithInterval(e));
    row.push_back(outcome.report->warnings.empty() ? "" : outcome.report->warnings.back());
    rows.push_back(std::move(row));
  }
  fmt::print("{}", FormatTable(header, rows));
}

void PrintText(const FittedGroups& fitted) {
  if (fitted.groups.size() <= kInFull) {
    for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
      if (!fitted.outcomes[g].report) continue;
      fmt::print("{}\n{}", GroupName(fitted.groups[g].group), FullText(*fitted.outcomes[g].report));
    }
    return;
  }
  for (const FitOutcome& outcome : fitted.outcomes) {
    if (!outcome.report) continue;
    const FitReport& r = *outcome.report;
    fmt::print("{}: y = {}; {:.0f} % intervals by {}; points: {}; {} residuals, {} loss\n\n",
               r.law,
               r.formula,
               100 * r.level,
               ToString(r.intervals),
               ToString(r.select),
               ToString(r.residual),
               ToString(r.loss));
    break;
  }
  PrintTable(fitted);
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
