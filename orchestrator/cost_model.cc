#include "orchestrator/cost_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"
#include "orchestrator/local_gpus.h"

namespace sweep {
namespace {

RangedEstimate Largest(const RangedEstimate& a, const RangedEstimate& b) {
  return {std::max(a.low, b.low), std::max(a.middle, b.middle), std::max(a.high, b.high)};
}

// The slowest rate gives the longest time.
RangedEstimate SecondsAt(const RangedEstimate& rate, int64_t samples_seen) {
  const auto samples = static_cast<double>(samples_seen);
  return {samples / rate.high, samples / rate.middle, samples / rate.low};
}

// Those that something needs and the end; and the one before the end, where there was time for it.
size_t CheckpointsLeft(std::set<int64_t> needed,
                       const RunRow& run,
                       const RangedEstimate& seconds,
                       double checkpoint_every_seconds) {
  needed.insert(run.spec.samples_seen);
  return needed.size() + (seconds.middle > checkpoint_every_seconds ? 1 : 0);
}

RunCost CostOfRun(const RunRow& run, const SweepJob& job, const TrainRates& rates) {
  RunCost cost;
  cost.train_flops =
      static_cast<double>(run.spec.samples_seen) * run.gmacs_per_sample * kTrainFlopsPerGmac;
  cost.memory = MemoryOf(run.spec, job.executor, job.trainer);
  cost.rate = rates.For(run.spec);
  cost.train_seconds = SecondsAt(cost.rate.samples_per_second, run.spec.samples_seen);
  cost.device_hours =
      Scaled(cost.train_seconds, static_cast<double>(rates.workplace().devices) / kSecondsPerHour);
  return cost;
}

// Training along the longest chain of runs that start from each other.
RangedEstimate LongestChain(const std::vector<RunWork>& remaining, const PlanCost& cost) {
  std::unordered_map<std::string, RangedEstimate>
      until_end;  // of a run; parents stand before their children
  until_end.reserve(remaining.size());
  RangedEstimate longest;
  for (const RunWork& work : remaining) {
    const auto own = cost.runs.find(work.run->run_id);
    if (own == cost.runs.end()) continue;
    RangedEstimate& end = until_end[work.run->run_id];
    end = own->second.train_seconds;
    const auto parent = until_end.find(work.run->spec.start.run_id);
    if (parent != until_end.end()) end = Sum(end, parent->second);
    longest = Largest(longest, end);
  }
  return longest;
}

// How many runs work at once; nullopt where a cluster decides.
std::optional<size_t> SlotsOf(const ExecutorSettings& settings, const TrainerSettings& trainer) {
  if (settings.kind == "local") return LocalSlots(settings, trainer);
  if (settings.slots) return static_cast<size_t>(*settings.slots);
  if (settings.max_running) return static_cast<size_t>(*settings.max_running);
  return std::nullopt;
}

}  // namespace

RangedEstimate TrainSeconds(const RunSpec& spec, const TrainRates& rates) {
  return SecondsAt(rates.For(spec).samples_per_second, spec.samples_seen);
}

TrainMemory MemoryOf(const RunSpec& spec,
                     const ExecutorSettings& executor,
                     const TrainerSettings& trainer) {
  // What one process of the run takes on at a time.
  const StepSize step = {spec.global_batch_size / executor.processes(),
                         trainer.micro_batch,
                         spec.precision == "bf16" || spec.precision == "fp16",
                         trainer.recompute,
                         trainer.sharding,
                         executor.processes()};
  return EstimateTrainMemory(spec.model, step, spec.reduction);
}

PlanCost CostOf(const std::vector<RunWork>& remaining,
                const SweepJob& job,
                const TrainRates& rates) {
  const auto needed = CheckpointsNeeded(job.sweep);
  PlanCost total;
  total.runs.reserve(remaining.size());
  RangedEstimate seconds;
  for (const RunWork& work : remaining) {
    if (!work.train) continue;
    RunCost cost = CostOfRun(*work.run, job, rates);
    cost.disk_bytes = CheckpointBytes(work.run->spec.model) *
                      static_cast<double>(CheckpointsLeft(needed.at(work.run->run_id),
                                                          *work.run,
                                                          cost.train_seconds,
                                                          job.trainer.checkpoint_every_seconds));
    total.train_flops += cost.train_flops;
    total.disk_bytes += cost.disk_bytes;
    total.most_memory_bytes = std::max(total.most_memory_bytes, cost.memory.total());
    total.device_hours = Sum(total.device_hours, cost.device_hours);
    seconds = Sum(seconds, cost.train_seconds);
    total.runs.emplace(work.run->run_id, std::move(cost));
  }
  if (const std::optional<size_t> slots = SlotsOf(job.executor, job.trainer)) {
    total.elapsed_seconds =
        Largest(Scaled(seconds, 1.0 / static_cast<double>(*slots)), LongestChain(remaining, total));
  }
  return total;
}

void RequireBudget(const PlanCost& cost, const Workplace& workplace, double most_hours) {
  if (cost.device_hours.high <= most_hours) return;
  // Whoever has probed already, or names an accelerator that is elsewhere, is not helped by it.
  const bool guessed =
      !workplace.imagined && std::any_of(cost.runs.begin(), cost.runs.end(), [](const auto& run) {
        return run.second.rate.source == RateSource::kAssumed;
      });
  throw Failure(
      FailureCode::kBudget,
      fmt::format("the plan costs {}, and --max-gpu-hours allows {:.4g}; nothing was started{}",
                  HoursText(cost.device_hours, workplace),
                  most_hours,
                  guessed ? ". A narrower range comes from measuring: `sweep plan --probe`" : ""));
}

std::string HoursText(const RangedEstimate& hours, const Workplace& workplace) {
  return fmt::format(
      "{:.4g} {} ({:.4g} to {:.4g})", hours.middle, workplace.hours_unit(), hours.low, hours.high);
}

}  // namespace sweep
