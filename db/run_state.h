#pragma once

#include <string>
#include <string_view>

namespace sweep {

/// Life of a run: planned → submitting → queued → running → completed | failed | diverged |
/// cancelled. "Unknown" is no state: a scheduler that does not answer changes nothing.
enum class RunState {
  kPlanned,     ///< wanted, nothing started (also: interrupted, waiting to go on)
  kSubmitting,  ///< the intent to start is on disk, the executor has not confirmed
  kQueued,      ///< a scheduler holds it
  kRunning,
  kCompleted,  ///< result.json is there; never left again
  kFailed,
  kDiverged,  ///< training gave non-finite numbers: a result, not a fault
  kCancelled,
};

[[nodiscard]] const char* ToString(RunState state);

/// Throws Failure(kDatabase) for a word that is no state.
[[nodiscard]] RunState ParseRunState(std::string_view word);

/// The one place that says which changes are legal.
[[nodiscard]] bool CanTransition(RunState from, RunState to);

}  // namespace sweep
