#pragma once

#include <string>
#include <vector>

#include "core/run_directory.h"
#include "db/records.h"

namespace sweep {

/// What the next attempt of a run is to find in its folder.
struct ExpectedFolder {
  const RunRow* run = nullptr;
  bool train = false;         ///< else the run is trained, and only evaluations are missing
  bool again = false;         ///< a result that says `diverged` is known, and the run is tried again
  std::vector<std::string> evaluations;  ///< eval_ids that are to be made
};

/// Moves aside whatever stands in the way of a run's next attempt, under a name that says why
/// (`result.json.damaged`): a result or evaluation that is damaged, a spec.json that is not the
/// run's, a pipe for a lock, a file for a folder. The trainer would take it for its own work, or
/// fail on it. Returns a sentence about each. Nobody may be at work in the folder.
[[nodiscard]] std::vector<std::string> ClearTheWay(const RunDirectory& directory,
                                                   const ExpectedFolder& expected);

/// Is there a whole evaluation of this run under its name?
[[nodiscard]] bool HasEvaluation(const RunDirectory& directory, const std::string& eval_id);

}  // namespace sweep
