#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/store.h"

namespace sweep {

/// How the process of an attempt ended, as far as it is known.
struct ProcessEnd {
  std::optional<int> exit_code;
  std::optional<int> signal;
  std::string cause;           ///< as AttemptNews has it; empty: the trainer's own doing
  bool asked_to_stop = false;  ///< by `sweep`: anything but a result means "interrupted"
  bool lost = false;           ///< nobody saw the end: the `sweep` that watched it died
};

/// What an ended attempt means for its run.
enum class Verdict {
  kTrained,      ///< result.json says completed (its evaluations may still be missing)
  kDiverged,     ///< a result too
  kInterrupted,  ///< goes on from its checkpoint at the next start
  kCancelled,    ///< by a person, in the scheduler
  kFailed,
};

struct AttemptVerdict {
  Verdict verdict = Verdict::kFailed;
  std::string failure_class;
  std::string message;
  bool worth_retrying = false;  ///< the same attempt may succeed when it is made again
  bool disk_full = false;       ///< no attempt can succeed until there is room
  /// Against the limit of attempts. An interruption counts only if no checkpoint was saved, so that
  /// a run that is preempted again and again ends, and one that never advances does not go on.
  bool counts = true;
};

/// Takes in what the run's folder holds, decides what the attempt achieved - from its files first,
/// then from how the process ended - and records the attempt's end and the run's new state. `asked`
/// is what it was to evaluate, as far as that is known; `notes` receives warnings.
AttemptVerdict CloseAttempt(const Store& store,
                            StoreTransaction& transaction,
                            const std::string& run_id,
                            int64_t attempt,
                            const ProcessEnd& end,
                            const std::vector<const EvaluationRequest*>& asked,
                            std::vector<std::string>& notes);

}  // namespace sweep
