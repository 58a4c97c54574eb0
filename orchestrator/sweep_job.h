#pragma once

#include <string>
#include <vector>

#include "db/records.h"
#include "orchestrator/sweep_file/expanded_sweep.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// Where and how attempts run: the part of a sweep that decides no weights.
struct ExecutionSettings {
  int64_t slots = 0;            ///< attempts at once; 0: as many as fit the cores
  int64_t threads_per_run = 1;  ///< CPU threads of one attempt
  int64_t max_attempts =
      2;  ///< of one run within one `sweep run`, for failures that a retry may cure
  std::string device = "auto";
  double checkpoint_every_seconds = 300;
  std::vector<std::string> trainer_command;  ///< empty: clip_train beside this program, or on PATH
};

/// One sweep, ready to be executed.
struct SweepJob {
  ExpandedSweep sweep;
  ExecutionSettings execution;
};

/// An expanded sweep file with its settings of the executor.
[[nodiscard]] SweepJob MakeSweepJob(const SweepFile& file, ExpandedSweep expanded);

/// Throws Failure(kData) naming every file or folder that the remaining work needs and this machine
/// lacks, with what to install.
void RequireLocations(const SweepJob& job, const std::vector<const RunRow*>& runs);

}  // namespace sweep
