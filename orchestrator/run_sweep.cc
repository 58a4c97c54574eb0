#include "orchestrator/run_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "core/failure.h"
#include "core/output.h"
#include "orchestrator/batch_executor.h"
#include "orchestrator/cost_model.h"
#include "orchestrator/data_files.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/local_executor.h"
#include "orchestrator/lost_files.h"
#include "orchestrator/recovery.h"
#include "orchestrator/sweep_file/expand.h"

namespace sweep {
namespace {

SweepJob MakeJob(const SweepFile& file, const RunSweepOptions& options) {
  CheckFitRequests(file.fits);
  SweepJob job{Expand(file), file.executor, file.trainer};
  if (options.slots > 0) job.executor.slots = options.slots;
  if (!options.executor.empty()) job.executor.kind = options.executor;
  return job;
}

std::unique_ptr<Store> OpenStore(const std::filesystem::path& root, const SweepRow& sweep) {
  std::vector<std::string> notes;
  std::unique_ptr<Store> store = OpenForWriting(root, notes);
  ForgetLostFiles(*store, sweep, notes);
  for (const std::string& note : notes) Tell("{}\n", note);
  return store;
}

// Fills job.predictions. Throws Failure(kBudget) for a plan that may cost too much.
void PredictCost(const Store& store,
                 const RunPlan& plan,
                 const std::optional<double>& most_hours,
                 SweepJob& job) {
  const TrainRates rates = KnownRates(WorkplaceOf(job.executor, job.trainer, ""), store);
  const PlanCost cost = CostOf(plan.Remaining(), job, rates);
  if (most_hours) RequireBudget(cost, rates.workplace(), *most_hours);
  for (const auto& [run_id, run] : cost.runs)
    job.predictions[run_id] = {
        run.train_seconds.middle, run.train_seconds.high, run.memory.total()};
}

double ComputeToSpend(const std::vector<RunWork>& remaining) {
  double gmacs = 0;
  for (const RunWork& work : remaining) {
    if (work.train)
      gmacs += static_cast<double>(work.run->spec.samples_seen) * work.run->gmacs_per_sample;
  }
  return gmacs;
}

// Nothing is started when something that all of it needs is missing.
void RequireInputs(const SweepJob& job, const std::vector<RunWork>& remaining) {
  std::vector<const RunRow*> runs;
  for (const RunWork& work : remaining) runs.push_back(work.run);
  RequireLocations(job, runs);
  (void)TrainerCommand(job.trainer);
}

std::unique_ptr<Executor> MakeExecutor(const Store& store,
                                       const ExecutorSettings& settings,
                                       const TrainerSettings& trainer) {
  if (std::unique_ptr<BatchSystem> system = MakeBatchSystem(settings.kind, settings, store.root()))
    return std::make_unique<BatchExecutor>(
        std::move(system), settings, SubmissionsFolder(store.root()));
  const size_t slots = LocalSlots(settings, trainer);
  const bool on_gpus = WorksOnGpus(settings, trainer);
  const auto gpus_per_run = static_cast<size_t>(settings.gpus_per_run.value_or(1));
  return std::make_unique<LocalExecutor>(
      slots, GpuPacking(on_gpus ? LocalGpus() : std::vector<LocalGpu>(), gpus_per_run, slots));
}

// Fits the laws anew while runs are at work, now and then after some have ended.
class RefreshingFits {
 public:
  RefreshingFits(Store& store,
                 const SweepJob& job,
                 const std::vector<FitRequest>& requests,
                 Progress& progress)
      : store_(store), job_(job), requests_(requests), progress_(progress) {}

  void AfterNews(const SweepOutcome& outcome) {
    if (requests_.empty() || outcome.completed == fitted_ || Clock::now() < next_) return;
    fitted_ = outcome.completed;
    const auto start = Clock::now();
    try {
      const SweepFits fits = FitSweep(store_, job_.sweep.sweep_id, requests_);
      if (!fits.reports.empty())
        progress_.Note(fmt::format("{} laws fitted to the runs so far; `sweep status` shows them",
                                   fits.reports.size()));
    } catch (const Failure& failure) {
      progress_.Note(fmt::format("no fits yet: {}", failure.what()));
    }
    const auto took = Clock::now() - start;
    next_ = start + std::max(kShareOfFits * took,
                             std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(job_.executor.fits_every_seconds)));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kShareOfFits = 20;  // runs are not kept waiting for long

  Store& store_;
  const SweepJob& job_;
  const std::vector<FitRequest>& requests_;
  Progress& progress_;
  size_t fitted_ = 0;
  Clock::time_point next_ = Clock::now();
};

SweepOutcome Execute(Store& store,
                     const SweepJob& job,
                     const std::vector<FitRequest>& requests,
                     RunPlan& plan) {
  const std::vector<RunWork> remaining = plan.Remaining();
  if (remaining.empty() && store.OpenAttempts().empty()) return {};
  RequireInputs(job, remaining);
  const std::unique_ptr<Executor> executor = MakeExecutor(store, job.executor, job.trainer);
  Progress progress(stderr, plan.total_runs(), plan.already_done(), ComputeToSpend(remaining));
  const InterruptGuard interrupts;
  RefreshingFits fits(store, job, requests, progress);
  return Scheduler(store, job, plan, *executor, progress)
      .Run(interrupts, [&](const SweepOutcome& outcome) { fits.AfterNews(outcome); });
}

}  // namespace

SweepReport RunSweep(const RunSweepOptions& options) {
  const SweepFile file = ReadSweepFile(options.sweep_file, LoadCatalog(DataPath("")));
  SweepJob job = MakeJob(file, options);
  const std::unique_ptr<Store> store = OpenStore(options.store, job.sweep);
  RunPlan plan(job.sweep, store->States(), store->FinishedEvaluations(), options.retry_failed);
  PredictCost(*store, plan, options.most_hours, job);
  AddSweepToStore(*store, job.sweep);

  SweepReport report;
  report.name = job.sweep.name;
  report.sweep_id = job.sweep.sweep_id;
  report.total_runs = plan.total_runs();
  report.already_done = plan.already_done();
  report.outcome = Execute(*store, job, file.fits, plan);
  report.training = CompletedTraining(*store, job.sweep.sweep_id);
  if (!report.outcome.interrupted && !report.outcome.disk_full)
    report.fits = FitSweep(*store, job.sweep.sweep_id, file.fits);
  return report;
}

}  // namespace sweep
