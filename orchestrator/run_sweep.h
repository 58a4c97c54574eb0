#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/fit_sweep.h"
#include "orchestrator/scheduler.h"
#include "orchestrator/sweep_cost.h"

namespace sweep {

struct RunSweepOptions {
  std::filesystem::path sweep_file;
  std::filesystem::path store;
  int64_t slots = 0;          ///< overrides the sweep file's; 0: as the file says
  std::string executor;       ///< overrides the sweep file's; empty: as the file says
  bool retry_failed = false;  ///< start failed, diverged and cancelled runs again
  std::optional<double> most_hours = std::nullopt;  ///< GPU-hours (core-hours without GPUs) that
                                                    ///< what is missing may cost
};

/// What one invocation did and what the sweep's points say now.
struct SweepReport {
  std::string name;
  std::string sweep_id;
  size_t total_runs = 0;
  size_t already_done = 0;
  SweepOutcome outcome;
  SweepFits fits;
  TrainingTime training;  ///< of all completed runs of the sweep
};

/// The main job: sweep file to fitted laws. Progress goes to stderr. Throws Failure, as kBudget
/// before anything is started when it may cost more than `most_hours`; an interrupted
/// or partly failed sweep is a report, not a failure.
[[nodiscard]] SweepReport RunSweep(const RunSweepOptions& options);

}  // namespace sweep
