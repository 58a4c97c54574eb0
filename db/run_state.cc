#include "db/run_state.h"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <utility>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr std::array<std::pair<RunState, const char*>, 8> kNames = {{
    {RunState::kPlanned, "planned"},
    {RunState::kSubmitting, "submitting"},
    {RunState::kQueued, "queued"},
    {RunState::kRunning, "running"},
    {RunState::kCompleted, "completed"},
    {RunState::kFailed, "failed"},
    {RunState::kDiverged, "diverged"},
    {RunState::kCancelled, "cancelled"},
}};

bool IsOneOf(RunState state, std::initializer_list<RunState> states) {
  for (const RunState candidate : states) {
    if (candidate == state) return true;
  }
  return false;
}

}  // namespace

const char* ToString(RunState state) {
  for (const auto& [value, name] : kNames) {
    if (value == state) return name;
  }
  return "";
}

RunState ParseRunState(std::string_view word) {
  for (const auto& [value, name] : kNames) {
    if (word == name) return value;
  }
  throw Failure(FailureCode::kDatabase,
                fmt::format("the store has a run in the unknown state '{}'", word));
}

bool CanTransition(RunState from, RunState to) {
  using enum RunState;
  switch (from) {
    case kPlanned:
      // Completed and diverged: the result was found on disk, made by an attempt this store lost
      // sight of.
      return IsOneOf(to, {kSubmitting, kCompleted, kDiverged, kFailed, kCancelled});
    case kSubmitting:
    case kQueued:
    case kRunning:
      // Running to queued: its scheduler took the machine away and queued it again. Queued to
      // queued: why it waits has changed.
      return (to != from || to == kQueued) && to != kSubmitting;
    case kFailed:
    case kDiverged:
    case kCancelled:
      return IsOneOf(to, {kPlanned, kCompleted});  // retried, or a result turned up
    case kCompleted:
      return false;
  }
  return false;
}

}  // namespace sweep
