#include "orchestrator/sweep_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "orchestrator/progress.h"

namespace sweep {
namespace {

bool MayStillEnd(RunState state) {
  return state == RunState::kPlanned || state == RunState::kSubmitting ||
         state == RunState::kQueued || state == RunState::kRunning;
}

// Where the latest attempt worked: what the next will cost there.
Workplace PlaceOf(const std::optional<AttemptSpan>& latest) {
  ExecutorSettings executor;
  TrainerSettings trainer;
  if (latest) {
    executor.kind = latest->executor;
    executor.threads_per_run = std::max<int64_t>(1, latest->threads);
    executor.processes_per_run = latest->processes;
    executor.gpus_per_run = latest->on_gpu() ? latest->processes : 0;
  }
  Workplace place = WorkplaceOf(executor, trainer, "");
  if (latest) place.host = latest->host;
  return place;
}

double ShareLeft(const Store& store, const RunSpending& run) {
  const std::optional<RunProgress> progress = store.LatestProgress(run.run_id);
  if (!progress) return 1;
  const double share =
      static_cast<double>(progress->samples_seen) / static_cast<double>(run.spec.samples_seen);
  return std::clamp(1 - share, 0.0, 1.0);
}

}  // namespace

SweepCost CostSoFar(const Store& store, const std::vector<RunSpending>& runs) {
  std::set<std::string> ours;
  for (const RunSpending& run : runs) ours.insert(run.run_id);
  SweepCost cost;
  std::optional<AttemptSpan> latest;
  for (const AttemptSpan& span : store.AttemptSpans(UnixTime())) {
    if (!ours.contains(span.run_id)) continue;
    const int64_t devices =
        span.processes * (span.on_gpu() ? 1 : std::max<int64_t>(1, span.threads));
    (span.on_gpu() ? cost.gpu_hours : cost.core_hours) +=
        span.seconds * static_cast<double>(devices) / kSecondsPerHour;
    if (span.open && span.seconds > 0) ++cost.at_work;
    if (!latest || span.started_at > latest->started_at) latest = span;
  }

  const TrainRates rates = KnownRates(PlaceOf(latest), store);
  const auto devices = static_cast<double>(rates.workplace().devices);
  RangedEstimate seconds;
  for (const RunSpending& run : runs) {
    if (run.state == RunState::kCompleted && run.train_seconds > 0 && run.predicted_seconds) {
      cost.completed.predicted_seconds += *run.predicted_seconds;
      cost.completed.actual_seconds += run.train_seconds;
    }
    if (MayStillEnd(run.state))
      seconds = Sum(seconds, Scaled(TrainSeconds(run.spec, rates), ShareLeft(store, run)));
  }
  cost.unit = rates.workplace().hours_unit();
  cost.hours_left = Scaled(seconds, devices / kSecondsPerHour);
  if (cost.at_work > 0) cost.seconds_left = Scaled(seconds, 1 / static_cast<double>(cost.at_work));
  return cost;
}

TrainingTime CompletedTraining(const Store& store, const std::string& sweep_id) {
  const QueryTable sums = store.Query(
      "SELECT total(predicted), total(train_seconds) FROM (SELECT train_seconds, "
      "(SELECT predicted_seconds FROM attempts WHERE attempts.run_id = runs.run_id "
      "AND predicted_seconds IS NOT NULL ORDER BY attempt LIMIT 1) AS predicted "
      "FROM sweep_runs JOIN runs USING (run_id) "
      "WHERE sweep_id = ?1 AND state = 'completed' AND train_seconds > 0) "
      "WHERE predicted IS NOT NULL",
      {sweep_id});
  return {std::stod(sums.rows.at(0).at(0)), std::stod(sums.rows.at(0).at(1))};
}

std::string TookText(const TrainingTime& time) {
  if (time.predicted_seconds <= 0) return "";
  return fmt::format("training took {} of {} predicted ({:.2f} of it)",
                     HumanSeconds(time.actual_seconds),
                     HumanSeconds(time.predicted_seconds),
                     time.actual_seconds / time.predicted_seconds);
}

std::string SpentText(const SweepCost& cost) {
  const std::string cores = fmt::format("{:.3g} core-hours", cost.core_hours);
  if (cost.gpu_hours == 0) return cores;
  const std::string gpus = fmt::format("{:.3g} GPU-hours", cost.gpu_hours);
  return cost.core_hours == 0 ? gpus : gpus + " and " + cores;
}

}  // namespace sweep
