#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/compute.h"
#include "orchestrator/run_plan.h"
#include "orchestrator/sweep_job.h"
#include "orchestrator/train_rate.h"

namespace sweep {

/// What training one run takes; its evaluations and its start-up (seconds) are not counted.
struct RunCost {
  double train_flops = 0;  ///< of the run's own segment
  TrainMemory memory;      ///< on the device
  double disk_bytes = 0;   ///< checkpoints it leaves
  TrainRate rate;
  RangedEstimate train_seconds;
  RangedEstimate device_hours;  ///< GPU-hours, or core-hours
};

/// What a list of work takes. Sums of ranges are the sums of their ends.
struct PlanCost {
  std::unordered_map<std::string, RunCost> runs;  ///< by run; only those to be trained
  double train_flops = 0;
  double disk_bytes = 0;
  double most_memory_bytes = 0;  ///< of a process of a run
  RangedEstimate device_hours;
  /// From first to last: nothing is faster than its longest chain of runs, nor than all of it on
  /// every slot. nullopt where a cluster decides how many work at once.
  std::optional<RangedEstimate> elapsed_seconds;
};

/// How long training takes at the rates' workplace.
[[nodiscard]] RangedEstimate TrainSeconds(const RunSpec& spec, const TrainRates& rates);

/// What a process of the run holds on its device.
[[nodiscard]] TrainMemory MemoryOf(const RunSpec& spec,
                                   const ExecutorSettings& executor,
                                   const TrainerSettings& trainer);

/// The cost of all training in `remaining`, runs of `job`.
[[nodiscard]] PlanCost CostOf(const std::vector<RunWork>& remaining,
                              const SweepJob& job,
                              const TrainRates& rates);

/// Throws Failure(kBudget) when the upper end of the cost's range is above `most_hours` GPU-hours
/// (core-hours where runs use no GPU).
void RequireBudget(const PlanCost& cost, const Workplace& workplace, double most_hours);

/// "1.2 GPU-hours (0.8 to 2.1)".
[[nodiscard]] std::string HoursText(const RangedEstimate& hours, const Workplace& workplace);

}  // namespace sweep
