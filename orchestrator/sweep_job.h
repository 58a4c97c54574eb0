#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "db/records.h"
#include "orchestrator/sweep_file/expanded_sweep.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// What training a run was said to take before it started.
struct RunPrediction {
  double seconds = 0;       ///< recorded at its start, to be compared with later
  double most_seconds = 0;  ///< the longest it may take
  double memory_bytes = 0;  ///< on each of its devices
};

/// One sweep, ready to be executed.
struct SweepJob {
  ExpandedSweep sweep;
  ExecutorSettings executor;
  TrainerSettings trainer;
  std::map<std::string, RunPrediction> predictions = {};  ///< by run; only those to be trained
};

/// By run: after how many samples of its own segment its evaluations and the runs that start from
/// it need a checkpoint.
[[nodiscard]] std::unordered_map<std::string, std::set<int64_t>> CheckpointsNeeded(
    const SweepRow& sweep);

/// Throws Failure(kData) naming every file or folder that the remaining work needs and this machine
/// lacks, with what to install.
void RequireLocations(const SweepJob& job, const std::vector<const RunRow*>& runs);

}  // namespace sweep
