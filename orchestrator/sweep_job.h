#pragma once

#include <string>
#include <vector>

#include "db/records.h"
#include "orchestrator/sweep_file/expanded_sweep.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// One sweep, ready to be executed.
struct SweepJob {
  ExpandedSweep sweep;
  ExecutorSettings executor;
  TrainerSettings trainer;
};

/// Throws Failure(kData) naming every file or folder that the remaining work needs and this machine
/// lacks, with what to install.
void RequireLocations(const SweepJob& job, const std::vector<const RunRow*>& runs);

}  // namespace sweep
