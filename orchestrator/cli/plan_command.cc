#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <optional>

#include "core/output.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cost_model.h"
#include "orchestrator/data_files.h"
#include "orchestrator/fit_sweep.h"
#include "orchestrator/memory_shortage.h"
#include "orchestrator/progress.h"
#include "orchestrator/run_plan.h"
#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/sweep_job.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct PlanOptions {
  std::string sweep_file;
  std::string accelerator;
  bool retry_failed = false;
  bool probe = false;
  bool list_runs = false;
  std::optional<double> most_hours;
};

// The sweep's runs against the store's, by run id.
struct StoreComparison {
  std::vector<std::string> fresh;     // in the file alone
  std::vector<std::string> kept;      // in both
  std::vector<std::string> orphaned;  // of an earlier version of this sweep, no longer in the file
};

// All that is shown. The references must outlive it.
struct PlanView {
  const SweepJob& job;
  const RunPlan& plan;
  const std::vector<std::string>& profiles;  // files with settings beside the sweep file's
  std::vector<RunWork> remaining;
  StoreComparison against_store;
  Workplace workplace;
  PlanCost cost;
  std::optional<MemoryShortage> shortage;
  double compute_gmacs = 0;  // of the runs' own segments
  size_t evaluations = 0;
  bool list_runs = false;
};

// Of more, nobody reads the rows.
constexpr size_t kMostRunsListed = 1000;

StoreComparison Compare(const SweepRow& sweep, const RunStates& known, IdSet orphaned) {
  StoreComparison comparison;
  for (const RunRow& run : sweep.runs) {
    (known.contains(run.run_id) ? comparison.kept : comparison.fresh).push_back(run.run_id);
    orphaned.erase(run.run_id);
  }
  comparison.orphaned.assign(orphaned.begin(), orphaned.end());
  std::sort(comparison.orphaned.begin(), comparison.orphaned.end());
  return comparison;
}

// What nothing is known of yet, each model, precision and batch once.
void ProbeUnknown(const SweepJob& job,
                  const std::vector<RunWork>& remaining,
                  const TrainRates& rates,
                  const std::string& root) {
  std::set<std::string> probed;
  for (const RunWork& work : remaining) {
    const RunSpec& spec = work.run->spec;
    const ProbeRequest request =
        ProbeRequestFor(spec, job.executor.threads_per_run, job.trainer.device);
    if (!work.train || rates.For(spec).source != RateSource::kAssumed) continue;
    if (!probed.insert(FieldsToJson(request).dump()).second) continue;
    Tell(
        "probing {} in {}, batch {} ...\n", work.run->model, request.precision, request.batch_size);
    (void)RunProbe(root, job.trainer, request);
  }
}

// Of the store, if there is one.
struct StoreState {
  RunStates known;
  IdSet evaluated;
  IdSet of_this_name;
  std::vector<MeasuredRates> rates;
};

StoreState ReadStore(const std::string& root,
                     const std::string& sweep_name,
                     const Workplace& place) {
  if (!Store::Exists(root)) return {};
  const Store store(root, Store::Access::kRead);
  return {store.States(),
          store.FinishedEvaluations(),
          store.RunsOfName(sweep_name),
          store.RatesAt(place.executor, place.host)};
}

TrainRates RatesFor(const SweepJob& job,
                    const Workplace& place,
                    const std::vector<RunWork>& remaining,
                    const PlanOptions& options,
                    const std::vector<MeasuredRates>& measured,
                    const std::string& root) {
  TrainRates rates(place, measured, LoadProbes(root));
  if (!options.probe) return rates;
  ProbeUnknown(job, remaining, rates, root);
  return {place, measured, LoadProbes(root)};
}

std::string RangeText(const RangedEstimate& seconds) {
  return fmt::format("{} ({} to {})",
                     HumanSeconds(seconds.middle),
                     HumanSeconds(seconds.low),
                     HumanSeconds(seconds.high));
}

std::vector<std::string> RunCells(const RunWork& work, const PlanCost& cost) {
  const RunRow& run = *work.run;
  std::vector<std::string> cells = {run.run_id.substr(0, 8),
                                    run.model,
                                    run.dataset,
                                    HumanCount(static_cast<double>(run.spec.data.data_scale)),
                                    HumanCount(static_cast<double>(run.spec.samples_seen)),
                                    std::to_string(run.spec.global_batch_size),
                                    fmt::format("{:.4g}", run.spec.optimizer.learning_rate),
                                    std::to_string(run.spec.seed),
                                    HumanCount(static_cast<double>(run.params)),
                                    fmt::format("{:.4g}", run.compute_gmacs)};
  if (const auto found = cost.runs.find(run.run_id); found != cost.runs.end()) {
    cells.push_back(HumanBytes(found->second.memory.total()));
    cells.push_back(HumanBytes(found->second.disk_bytes));
    cells.push_back(HumanSeconds(found->second.train_seconds.middle));
    cells.push_back(fmt::format("{:.3g}", found->second.device_hours.middle));
  } else {
    cells.insert(cells.end(), 4, "-");
  }
  cells.push_back(work.train ? "train" : "evaluate");
  cells.push_back(run.spec.start.run_id.empty() ? ""
                                                : "after " + run.spec.start.run_id.substr(0, 8));
  return cells;
}

void PrintRuns(const PlanView& view) {
  std::vector<std::vector<std::string>> rows;
  if (view.remaining.size() > kMostRunsListed && !view.list_runs) {
    Print("{} runs; `sweep plan --runs` lists them\n\n", view.remaining.size());
    return;
  }
  for (const RunWork& work : view.remaining) rows.push_back(RunCells(work, view.cost));
  if (rows.empty()) return;
  Print("{}\n",
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
                     "memory",
                     "disk",
                     "time",
                     view.workplace.hours_unit(),
                     "to do",
                     ""},
                    rows));
}

// One row a model and precision: how fast, and how that is known.
void PrintRates(const PlanView& view) {
  std::map<std::string, std::vector<std::string>> rows;
  for (const RunWork& work : view.remaining) {
    const auto cost = view.cost.runs.find(work.run->run_id);
    if (cost == view.cost.runs.end()) continue;
    const TrainRate& rate = cost->second.rate;
    const RangedEstimate& speed = rate.samples_per_second;
    const std::string& precision = work.run->spec.precision;
    rows[work.run->model + "\n" + precision + "\n" + rate.from] = {
        work.run->model,
        precision,
        fmt::format("{:.4g}", speed.middle),
        fmt::format("{:.4g} to {:.4g}", speed.low, speed.high),
        ToString(rate.source),
        rate.from};
  }
  if (rows.empty()) return;
  std::vector<std::vector<std::string>> cells;
  for (const auto& [key, row] : rows) cells.push_back(row);
  Print("{}\n", FormatTable({"model", "precision", "samples/s", "range", "source", "from"}, cells));
}

void PrintComparison(const StoreComparison& c) {
  if (c.kept.empty() && c.orphaned.empty()) return;
  Print("against the store: {} new, {} kept, {} orphaned\n",
        c.fresh.size(),
        c.kept.size(),
        c.orphaned.size());
  if (c.orphaned.empty()) return;
  Print("  orphaned (of an earlier version of this sweep):");
  for (const std::string& run_id : c.orphaned) Print(" {}", run_id.substr(0, 8));
  Print("\n");
}

// Whose memory it is that runs are held against.
std::string GpuName(const Workplace& place) {
  if (place.imagined) return place.accelerator.name;
  if (place.host.empty()) return place.accelerator.name + " (assumed; --accelerator names another)";
  return "this machine's GPU";
}

void PrintShortage(const PlanView& view) {
  if (!view.shortage) return;
  const MemoryShortage& shortage = *view.shortage;
  std::map<std::string, size_t> runs_by_model;
  for (const RunRow* run : shortage.runs) ++runs_by_model[run->model];
  std::string models;
  for (const auto& [model, runs] : runs_by_model)
    models += fmt::format("{}{} ({})", models.empty() ? "" : ", ", model, runs);
  Print("warning: {} of {} runs do not fit the {} of {}: {}; {} a process at most\n  {}\n",
        shortage.runs.size(),
        view.cost.runs.size(),
        HumanBytes(shortage.gpu_bytes),
        GpuName(view.workplace),
        models,
        HumanBytes(shortage.most_bytes),
        AdviceText(shortage, view.job.trainer));
}

void PrintPlan(const PlanView& view) {
  PrintRuns(view);
  PrintRates(view);
  Print(
      "{} runs: {} done, {} to train, {} evaluations to make; {:.4g} GMACs forward, {:.3g} FLOPs "
      "of training\n",
      view.plan.total_runs(),
      view.plan.already_done(),
      view.cost.runs.size(),
      view.evaluations,
      view.compute_gmacs,
      view.cost.train_flops);
  if (const std::string saving = BranchSavingText(view.job.sweep); !saving.empty())
    Print("{}, were each length trained by itself\n", saving);
  PrintComparison(view.against_store);
  for (const std::string& profile : view.profiles)
    Print("settings that the sweep file leaves open are from {}\n", profile);
  if (view.cost.runs.empty()) return;
  Print("training costs {}", HoursText(view.cost.device_hours, view.workplace));
  if (view.cost.elapsed_seconds) Print(", in {} at least", RangeText(*view.cost.elapsed_seconds));
  Print("; up to {} of memory a process, {} of checkpoints\n",
        HumanBytes(view.cost.most_memory_bytes),
        HumanBytes(view.cost.disk_bytes));
  PrintShortage(view);
}

Json RunJson(const RunWork& work, const PlanCost& costs) {
  Json evaluations = Json::array();
  for (const EvaluationRequest* evaluation : work.evaluations)
    evaluations.push_back(evaluation->eval_dataset);
  Json json = {{"run_id", work.run->run_id},
               {"model", work.run->model},
               {"dataset", work.run->dataset},
               {"coordinates", work.run->coordinates.ToJson()},
               {"train", work.train},
               {"parent_run_id", work.run->spec.start.run_id},
               {"evaluations", evaluations},
               {"params", work.run->params},
               {"samples_seen", work.run->spec.samples_seen},
               {"compute_gmacs", work.run->compute_gmacs},
               {"train_flops", work.run->train_flops}};
  if (const auto found = costs.runs.find(work.run->run_id); found != costs.runs.end()) {
    const RunCost& cost = found->second;
    json["cost"] = {{"train_flops", cost.train_flops},
                    {"memory_bytes", cost.memory.total()},
                    {"disk_bytes", cost.disk_bytes},
                    {"train_seconds", FieldsToJson(cost.train_seconds)},
                    {"device_hours", FieldsToJson(cost.device_hours)},
                    {"samples_per_second", FieldsToJson(cost.rate.samples_per_second)},
                    {"source", ToString(cost.rate.source)},
                    {"from", cost.rate.from}};
  }
  return json;
}

Json ShortageJson(const PlanView& view) {
  if (!view.shortage) return nullptr;
  const MemoryShortage& shortage = *view.shortage;
  Json runs = Json::array();
  for (const RunRow* run : shortage.runs) runs.push_back(run->run_id);
  Json json = {{"gpu", GpuName(view.workplace)},
               {"gpu_bytes", shortage.gpu_bytes},
               {"most_memory_bytes", shortage.most_bytes},
               {"runs", runs},
               {"remedy", nullptr},
               {"advice", AdviceText(shortage, view.job.trainer)}};
  if (shortage.remedy) {
    json["remedy"] = {{"micro_batch", shortage.remedy->micro_batch},
                      {"recompute", shortage.remedy->recompute},
                      {"sharding", shortage.remedy->sharding},
                      {"most_memory_bytes", shortage.remedy_bytes}};
  }
  return json;
}

Json PlanJson(const PlanView& view) {
  Json runs = Json::array();
  for (const RunWork& work : view.remaining) runs.push_back(RunJson(work, view.cost));
  Json cost = {{"unit", view.workplace.hours_unit()},
               {"accelerator", view.workplace.accelerator.name},
               {"device_hours", FieldsToJson(view.cost.device_hours)},
               {"disk_bytes", view.cost.disk_bytes},
               {"most_memory_bytes", view.cost.most_memory_bytes}};
  if (view.cost.elapsed_seconds) cost["elapsed_seconds"] = FieldsToJson(*view.cost.elapsed_seconds);
  return {
      {"schema", "sweep.plan/1"},
      {"name", view.job.sweep.name},
      {"total_runs", view.plan.total_runs()},
      {"already_done", view.plan.already_done()},
      {"to_train", view.cost.runs.size()},
      {"to_evaluate", view.evaluations},
      {"compute_gmacs", view.compute_gmacs},
      {"train_flops", view.cost.train_flops},
      {"train_flops_saved_by_branches", kTrainFlopsPerGmac * GmacsSavedByBranches(view.job.sweep)},
      {"new", view.against_store.fresh},
      {"kept", view.against_store.kept},
      {"orphaned", view.against_store.orphaned},
      {"profiles", view.profiles},
      {"cost", cost},
      {"memory_shortage", ShortageJson(view)},
      {"runs", runs}};
}

int Plan(const GlobalOptions& global, const PlanOptions& options) {
  const SweepFile file = ReadSweepFile(options.sweep_file, LoadCatalog(DataPath("")));
  CheckFitRequests(file.fits);
  const Workplace place = WorkplaceOf(file.executor, file.trainer, options.accelerator);
  auto reading =
      std::async(std::launch::async, ReadStore, global.store, file.name, std::cref(place));
  const SweepJob job = SweepJob{Expand(file), file.executor, file.trainer};
  StoreState stored = reading.get();
  const RunPlan plan(job.sweep, stored.known, stored.evaluated, options.retry_failed);

  PlanView view{job,
                plan,
                file.profiles,
                plan.Remaining(),
                Compare(job.sweep, stored.known, std::move(stored.of_this_name)),
                {},
                {},
                {}};
  const TrainRates rates =
      RatesFor(job, place, view.remaining, options, stored.rates, global.store);
  view.list_runs = options.list_runs;
  view.workplace = rates.workplace();
  view.cost = CostOf(view.remaining, job, rates);
  view.shortage = FindMemoryShortage(view.remaining, job, view.workplace, view.cost);
  for (const RunWork& work : view.remaining) view.evaluations += work.evaluations.size();
  view.compute_gmacs = view.cost.train_flops / kTrainFlopsPerGmac;
  if (global.json) {
    Print("{}\n", PlanJson(view).dump(1));
  } else {
    PrintPlan(view);
  }
  FinishOutput();
  if (options.most_hours) RequireBudget(view.cost, view.workplace, *options.most_hours);
  return 0;
}

}  // namespace

void AddPlanCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = app.add_subcommand(
      "plan", "What `sweep run` would do: the runs that are missing and what they cost");
  command->footer(
      "Example:\n"
      "  sweep plan sweeps/quickstart.json --probe\n"
      "  sweep plan sweeps/laion_grid.json --accelerator a100\n"
      "  sweep plan grid.json --max-gpu-hours 500 && sweep run grid.json\n"
      "How fast a run trains is taken from earlier attempts here, else from a probe, else assumed "
      "as a share of the accelerator's peak; the table says which. Start-up and evaluations are "
      "not counted.");
  command->add_option("sweep_file", options->sweep_file, "Sweep file (JSON)")->required();
  command->add_flag("--retry-failed",
                    options->retry_failed,
                    "Count failed, diverged and cancelled runs as missing");
  command->add_flag("--runs",
                    options->list_runs,
                    fmt::format("List the runs where they are more than {} too", kMostRunsListed));
  CLI::Option* accelerator = command->add_option(
      "--accelerator",
      options->accelerator,
      "As if runs worked on a100, h100, h200 or core (a CPU's), by what is assumed of it");
  command
      ->add_flag("--probe",
                 options->probe,
                 "Train each model of which nothing is known here for some seconds; the result is "
                 "kept in the store")
      ->excludes(accelerator);
  command
      ->add_option("--max-gpu-hours",
                   options->most_hours,
                   "Exit with code 4 if it may cost more (core-hours where runs use no GPU)")
      ->check(CLI::NonNegativeNumber);
  command->callback([&global, &action, options] {
    action = [&global, options] { return Plan(global, *options); };
  });
}

}  // namespace sweep
