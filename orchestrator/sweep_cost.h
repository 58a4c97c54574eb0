#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/run_spec.h"
#include "db/store.h"
#include "orchestrator/cost_model.h"

namespace sweep {

/// One run of a sweep as its cost sees it.
struct RunSpending {
  std::string run_id;
  RunSpec spec;  ///< looked at only while the run may still cost something
  RunState state = RunState::kPlanned;
  double train_seconds = 0;  ///< that its training took; 0 where it has not ended
  std::optional<double> predicted_seconds;
};

/// How long training was said to take and took, of completed runs of which the former is known.
struct TrainingTime {
  double predicted_seconds = 0;
  double actual_seconds = 0;  ///< training alone
};

/// What a sweep has cost and what it will. Attempts cost from the trainer's start to their end, so
/// waiting in a queue is free and evaluations, repeated work and failures are not.
struct SweepCost {
  double gpu_hours = 0;
  double core_hours = 0;
  TrainingTime completed;
  const char* unit = "core-hours";  ///< of hours_left
  RangedEstimate hours_left;        ///< training of the runs that may still come to an end
  size_t at_work = 0;               ///< attempts
  /// At the present number of attempts at work; nullopt when there is none.
  std::optional<RangedEstimate> seconds_left;
};

/// The cost of `runs`, those of one sweep. What is left is predicted for the place of their latest
/// attempt.
[[nodiscard]] SweepCost CostSoFar(const Store& store, const std::vector<RunSpending>& runs);

/// The same of a whole sweep, without a look at single runs.
[[nodiscard]] TrainingTime CompletedTraining(const Store& store, const std::string& sweep_id);

/// "training took 2m 39s of 3m 10s predicted (0.84 of it)"; empty where nothing was predicted.
[[nodiscard]] std::string TookText(const TrainingTime& time);

/// "0.12 core-hours", "3.4 GPU-hours and 0.1 core-hours".
[[nodiscard]] std::string SpentText(const SweepCost& cost);

}  // namespace sweep
