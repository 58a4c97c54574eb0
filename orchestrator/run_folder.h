#pragma once

#include <string>
#include <vector>

#include "core/failure.h"
#include "core/run_directory.h"

namespace sweep {

/// What the next attempt of a run is to find in its folder.
struct ExpectedFolder {
  std::string run_id;
  int64_t samples_seen = 0;  ///< of the run's own segment
  bool train = false;        ///< else the run is trained, and only evaluations are missing
  bool again = false;        ///< a result that says `diverged` is known, and the run is tried again
  std::vector<std::string> evaluations = {};  ///< eval_ids that are to be made
};

/// Moves aside whatever stands in the way of a run's next attempt, under a name that says why
/// (`result.json.damaged`): a result or evaluation that is damaged, a spec.json that is not the
/// run's, a pipe for a lock, a file for a folder. The trainer would take it for its own work, or
/// fail on it. Returns a sentence about each. Nobody may be at work in the folder.
[[nodiscard]] std::vector<std::string> ClearTheWay(const RunDirectory& directory,
                                                   const ExpectedFolder& expected);

/// The same of the files alone that `sweep` wrote for an attempt, spec.json and attempt.json, if
/// they are not what they were. The attempt may be at work.
[[nodiscard]] std::vector<std::string> MoveDamagedInputs(const RunDirectory& directory,
                                                         const std::string& run_id,
                                                         int64_t attempt);

/// Reads an evaluation of this run, whose own segment has `samples_seen`. Throws Malformed, naming
/// the file, for one that is damaged, of another run, or under a label that no attempt was asked
/// for: the label is no part of its identity.
[[nodiscard]] EvaluationResult ReadEvaluationOf(const RunDirectory& directory,
                                                const std::string& run_id,
                                                int64_t samples_seen,
                                                const std::string& eval_id);

/// Does this failure say that a file is not what it should be, rather than that files or the
/// database cannot be read or written?
[[nodiscard]] bool IsAboutTheFile(const Failure& failure);

}  // namespace sweep
