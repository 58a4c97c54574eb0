#pragma once

#include <set>
#include <string>
#include <vector>

#include "db/store.h"
#include "fit/report.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// Laws fitted to one sweep's points.
struct SweepFits {
  std::vector<FitReport> reports;  ///< in the order of the sweep file's `fits`, then of groups
  std::vector<std::string>
      problems;  ///< a line for each group that could not be fitted: which, why
};

/// Throws Failure(kUsage) for a law, recipe, loss or interval that does not exist: before the runs,
/// not after them.
void CheckFitRequests(const std::vector<FitRequest>& requests);

/// Every fit the sweep file asks for, one report for each (curve, task, evaluation set, metric),
/// over the points of the sweep's own runs. Records them in the store when it is open for writing.
[[nodiscard]] SweepFits FitSweep(Store& store,
                                 const std::string& sweep_id,
                                 const std::vector<FitRequest>& requests);

}  // namespace sweep
