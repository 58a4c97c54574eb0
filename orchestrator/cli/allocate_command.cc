#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "core/compute.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "fit/allocate.h"
#include "orchestrator/allocation_sweep.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/sweep_file/quantity.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct AllocateWords {
  FitWords fit;
  std::vector<std::string> budgets;
  std::string unit;
  std::string approach = "parametric";
  std::string write;
  AllocationRequest request;
};

std::vector<double> ReadBudgets(const AllocateWords& words) {
  std::vector<double> budgets;
  for (const std::string& text : words.budgets) {
    const std::optional<Quantity> budget = ParseQuantity(text);
    if (!budget || !(budget->value > 0)) {
      throw Failure(
          FailureCode::kUsage,
          fmt::format("--budget '{}': expected a positive compute in the unit of C", text));
    }
    budgets.push_back(budget->value);
  }
  return budgets;
}

// The store counts forward GMACs; a mapped table without a word is taken to count training FLOPs,
// as 6·N·D does.
double GmacsPerUnit(const AllocateWords& words) {
  const bool flops = words.unit.empty() ? !words.fit.query.map.empty() : words.unit == "flops";
  return flops ? 1 / kTrainFlopsPerGmac : 1;
}

PointGroup PointsToAllocate(const GlobalOptions& global, const FitWords& words) {
  const Table table = LoadRows(global, words);
  Law law = FindLaw("chinchilla");
  if (words.query.map.empty()) law.variables.emplace_back("C");
  std::vector<PointGroup> groups = MakeGroups(table, words.query, law);
  if (groups.empty()) throw Failure(FailureCode::kData, "no row is left to allocate from");
  if (groups.size() > 1) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{} groups of points ({}, {}, …): allocate works on one; choose with "
                              "--curve, --metric, --where",
                              groups.size(),
                              GroupName(groups[0].group),
                              GroupName(groups[1].group)));
  }
  return std::move(groups.front());
}

std::string Range(double value,
                  const std::optional<double>& low,
                  const std::optional<double>& high) {
  if (!low || !high) return fmt::format("{:.4g}", value);
  return fmt::format("{:.4g} [{:.4g}, {:.4g}]", value, *low, *high);
}

void PrintExponents(const Allocation& allocation) {
  std::vector<std::vector<std::string>> rows;
  for (const AllocationApproach& approach : allocation.approaches) {
    if (!approach.failure.empty()) {
      rows.push_back({approach.name, "-", "-", "-", "not to be had"});
      continue;
    }
    const double m = allocation.rule.m;
    const ExponentInterval i = ExponentIntervalOf(approach, allocation.level);
    const auto of_data = [m](const std::optional<double>& a) {
      return a ? std::optional<double>(1 - m * *a) : std::nullopt;
    };
    rows.push_back(
        {approach.name,
         Range(approach.line.exponent, i.low, i.high),
         Range(1 - m * approach.line.exponent, of_data(i.high), of_data(i.low)),
         approach.design_bias
             ? fmt::format("{:+.4f}, N x {:.3f}", *approach.design_bias, *approach.design_factor)
         : approach.name == "parametric" ? "none"
                                         : "?",
         approach.optima.empty() ? "" : fmt::format("{} optima", approach.optima.size())});
  }
  Print(
      "C = {:.4g} * N^{:.4g} * D; best N = G * C^a, best D ~ C^b; {:.0f} % intervals by "
      "resampling\n\n{}",
      allocation.rule.k,
      allocation.rule.m,
      100 * allocation.level,
      FormatTable({"approach", "a", "b", "bias of this design", ""}, rows));
}

void PrintTargets(const Allocation& allocation, const std::vector<double>& budgets) {
  std::vector<std::vector<std::string>> rows;
  for (const double budget : budgets) {
    for (const AllocationApproach& approach : allocation.approaches) {
      if (!approach.failure.empty()) continue;
      const AllocationTarget t = TargetOf(allocation, approach, budget);
      rows.push_back({fmt::format("{:.4g}", budget),
                      approach.name,
                      Range(t.n, t.n_low, t.n_high),
                      Range(t.d, t.d_low, t.d_high),
                      fmt::format("{:.4g}", t.d / t.n),
                      t.loss ? fmt::format("{:.5g}", *t.loss) : "-"});
    }
  }
  if (!rows.empty())
    Print("\n{}", FormatTable({"budget C", "approach", "N", "D", "D/N", "predicted"}, rows));
}

AllocationSweep WriteSweep(const AllocateWords& words,
                           const Allocation& allocation,
                           const std::vector<double>& budgets) {
  const auto approach = std::find_if(
      allocation.approaches.begin(), allocation.approaches.end(), [&](const AllocationApproach& a) {
        return a.name == words.approach;
      });
  if (!approach->failure.empty())
    throw Failure(FailureCode::kData, approach->name + ": " + approach->failure);
  AllocationRequest request = words.request;
  request.budget_gmacs = budgets.front() * GmacsPerUnit(words);
  request.best_params = TargetOf(allocation, *approach, budgets.front()).n;
  const std::filesystem::path path = std::filesystem::absolute(words.write);
  AllocationSweep sweep = MakeAllocationSweep(request, path.parent_path());
  if (!PublishFileOnce(path, sweep.document.dump(2) + "\n"))
    throw Failure(FailureCode::kUsage, words.write + " exists; --write never replaces a file");
  return sweep;
}

int RunAllocate(const GlobalOptions& global, const AllocateWords& words) {
  const std::vector<double> budgets = ReadBudgets(words);
  if (!words.write.empty() && budgets.size() != 1)
    throw Failure(FailureCode::kUsage, "--write needs one --budget");
  PointGroup group = PointsToAllocate(global, words.fit);
  FitOptions options = ReadFitWords(words.fit);
  Allocation allocation = Allocate(group.points, options);
  allocation.warnings.insert(
      allocation.warnings.begin(), group.warnings.begin(), group.warnings.end());
  std::optional<AllocationSweep> sweep;
  if (!words.write.empty()) sweep = WriteSweep(words, allocation, budgets);
  if (global.json) {
    Json json = ToJson(allocation, budgets);
    json["group"] = group.group;
    json["sweep_file"] = sweep ? Json(words.write) : Json(nullptr);
    Print("{}\n", json.dump(1));
  } else {
    PrintExponents(allocation);
    PrintTargets(allocation, budgets);
    for (const AllocationApproach& approach : allocation.approaches) {
      if (!approach.failure.empty()) Print("{}: {}\n", approach.name, approach.failure);
      for (const ExcludedPoint& left : approach.excluded)
        Print("{}: {} left out: {}\n", approach.name, left.label, left.reason);
    }
    for (const std::string& warning : allocation.warnings) Print("warning: {}\n", warning);
    if (sweep) {
      Print("\n{}: a run at this budget for each of\n", words.write);
      for (const AllocatedModel& model : sweep->models)
        Print("  {:<20} {:>10.4g} parameters, {:.4g} samples\n",
              model.model,
              model.params,
              model.samples);
      if (!sweep->warning.empty()) Print("  {}\n", sweep->warning);
    }
  }
  const bool any = std::any_of(allocation.approaches.begin(),
                               allocation.approaches.end(),
                               [](const AllocationApproach& a) { return a.failure.empty(); });
  if (any) return 0;
  Tell("sweep: no approach could be carried out\n");
  return static_cast<int>(FailureCode::kData);
}

}  // namespace

void AddAllocateCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<AllocateWords>();
  words->fit.loss = "huber:1e-3";
  words->fit.law = "chinchilla";
  CLI::App* command = app.add_subcommand(
      "allocate", "How to split compute between size and data, by three approaches");
  command->footer(
      "Example:\n"
      "  sweep allocate --table runs.csv --map N=params,D='flops/(6*params)',L=loss --budget "
      "5.76e23\n"
      "  sweep allocate --curve mine --metric acc1 --budget 1e9 --write next.json --like "
      "mine.json");
  AddFitWords(*command, words->fit);
  command->add_option("--budget", words->budgets, "Compute to spend on one run, in the unit of C")
      ->delimiter(',');
  command
      ->add_option(
          "--unit",
          words->unit,
          "Unit of C: flops (of training; default with --map) or gmacs (forward; the store's)")
      ->check(CLI::IsMember({"flops", "gmacs"}));
  command->add_option(
      "--write", words->write, "Write a sweep file for the budget (never over one)");
  command->add_option("--approach", words->approach, "Whose best size --write takes")
      ->check(CLI::IsMember({"parametric", "isoflop", "envelope"}))
      ->capture_default_str();
  command->add_option(
      "--like", words->request.like, "Sweep file to take data set, rates and evaluations from");
  command->add_option("--dataset", words->request.dataset, "Data set, without --like");
  command->add_option("--name", words->request.name, "Name of the sweep")->capture_default_str();
  command->add_option("--models", words->request.models, "How many models around the best size")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command
      ->add_option("--batch", words->request.global_batch_size, "Global batch size, without --like")
      ->capture_default_str();
  command->add_option("--learning-rate", words->request.learning_rate, "Peak rate, without --like")
      ->capture_default_str();
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunAllocate(global, *words); };
  });
}

}  // namespace sweep
