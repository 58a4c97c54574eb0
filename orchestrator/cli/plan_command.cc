#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "core/compute.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/data_files.h"
#include "orchestrator/fit_sweep.h"
#include "orchestrator/progress.h"
#include "orchestrator/run_plan.h"
#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/sweep_job.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct PlanOptions {
  std::string sweep_file;
  bool retry_failed = false;
};

RunPlan MakePlan(const SweepJob& job, const std::string& store_path, bool retry_failed) {
  if (!Store::Exists(store_path)) return {job.sweep, {}, {}, retry_failed};
  const Store store(store_path, Store::Access::kRead);
  return {job.sweep, store.Runs(), store.FinishedEvaluations(), retry_failed};
}

struct PlanTotals {
  double compute_gmacs = 0;  // of the runs' own segments
  double train_flops = 0;
  size_t trainings = 0;
  size_t evaluations = 0;
};

PlanTotals Add(const std::vector<RunWork>& remaining) {
  PlanTotals totals;
  for (const RunWork& work : remaining) {
    totals.evaluations += work.evaluations.size();
    if (!work.train) continue;
    ++totals.trainings;
    const double gmacs =
        static_cast<double>(work.run->spec.samples_seen) * work.run->gmacs_per_sample;
    totals.compute_gmacs += gmacs;
    totals.train_flops += gmacs * kTrainFlopsPerGmac;
  }
  return totals;
}

void PrintPlan(const RunPlan& plan,
               const std::vector<RunWork>& remaining,
               const PlanTotals& totals) {
  std::vector<std::vector<std::string>> rows;
  for (const RunWork& work : remaining) {
    const RunRow& run = *work.run;
    rows.push_back(
        {run.run_id.substr(0, 8),
         run.model,
         run.dataset,
         HumanCount(static_cast<double>(run.spec.data.data_scale)),
         HumanCount(static_cast<double>(run.spec.samples_seen)),
         std::to_string(run.spec.global_batch_size),
         fmt::format("{:.4g}", run.spec.optimizer.learning_rate),
         std::to_string(run.spec.seed),
         HumanCount(static_cast<double>(run.params)),
         fmt::format("{:.4g}", run.compute_gmacs),
         work.train ? "train" : "evaluate",
         run.spec.start.run_id.empty() ? "" : "after " + run.spec.start.run_id.substr(0, 8)});
  }
  if (!rows.empty()) {
    fmt::print("{}\n",
               FormatTable({"run",
                            "model",
                            "dataset",
                            "data_scale",
                            "samples_seen",
                            "batch",
                            "learning_rate",
                            "seed",
                            "params",
                            "compute_gmacs",
                            "to do",
                            ""},
                           rows));
  }
  fmt::print(
      "{} runs: {} done, {} to train, {} evaluations to make; {:.4g} GMACs forward, {:.3g} FLOPs "
      "of training\n",
      plan.total_runs(),
      plan.already_done(),
      totals.trainings,
      totals.evaluations,
      totals.compute_gmacs,
      totals.train_flops);
}

Json PlanJson(const SweepJob& job,
              const RunPlan& plan,
              const std::vector<RunWork>& remaining,
              const PlanTotals& totals) {
  Json runs = Json::array();
  for (const RunWork& work : remaining) {
    Json evaluations = Json::array();
    for (const EvaluationRequest& evaluation : work.evaluations)
      evaluations.push_back(evaluation.eval_dataset);
    runs.push_back({{"run_id", work.run->run_id},
                    {"model", work.run->model},
                    {"dataset", work.run->dataset},
                    {"coordinates", work.run->coordinates},
                    {"train", work.train},
                    {"parent_run_id", work.run->spec.start.run_id},
                    {"evaluations", evaluations},
                    {"params", work.run->params},
                    {"samples_seen", work.run->spec.samples_seen},
                    {"compute_gmacs", work.run->compute_gmacs},
                    {"train_flops", work.run->train_flops}});
  }
  return {{"schema", "sweep.plan/1"},
          {"name", job.sweep.name},
          {"total_runs", plan.total_runs()},
          {"already_done", plan.already_done()},
          {"to_train", totals.trainings},
          {"to_evaluate", totals.evaluations},
          {"compute_gmacs", totals.compute_gmacs},
          {"train_flops", totals.train_flops},
          {"runs", runs}};
}

int Plan(const GlobalOptions& global, const PlanOptions& options) {
  const SweepFile file = ReadSweepFile(options.sweep_file, LoadCatalog(DataPath("")));
  CheckFitRequests(file.fits);
  const SweepJob job = SweepJob{Expand(file), file.executor, file.trainer};
  const RunPlan plan = MakePlan(job, global.store, options.retry_failed);
  const std::vector<RunWork> remaining = plan.Remaining();
  const PlanTotals totals = Add(remaining);
  if (global.json) {
    fmt::print("{}\n", PlanJson(job, plan, remaining, totals).dump(1));
  } else {
    PrintPlan(plan, remaining, totals);
  }
  return 0;
}

}  // namespace

void AddPlanCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = app.add_subcommand(
      "plan", "What `sweep run` would do: the runs that are missing and their compute");
  command->footer(
      "Example:\n  sweep plan sweeps/laion_grid.json\n  sweep plan sweeps/quickstart.json --json");
  command->add_option("sweep_file", options->sweep_file, "Sweep file (JSON)")->required();
  command->add_flag("--retry-failed",
                    options->retry_failed,
                    "Count failed, diverged and cancelled runs as missing");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Plan(global, *options); };
  });
}

}  // namespace sweep
