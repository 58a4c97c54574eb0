#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/run_directory.h"
#include "db/store.h"

namespace sweep {

/// What one run's folder had to say beyond what the store knew. Damaged files and lines stay out of
/// the store: one bad file must not hide the others.
struct IngestedRun {
  std::optional<RunResult> result;
  std::string bad_result;  ///< what is wrong with result.json; empty: nothing, or there is none
  std::vector<std::string> bad_events;       ///< damaged lines, by file and byte
  std::vector<std::string> bad_evaluations;  ///< damaged files

  /// All that is wrong, a sentence each.
  [[nodiscard]] std::vector<std::string> Warnings() const;
};

/// How many of an attempt's new events are taken in at once.
enum class EventsTaken {
  kAll,
  kSome,  ///< a few MiB, so that nobody waits for long, and no result yet: the run is at work
};

/// Takes in everything a run's folder holds: new events by byte offset, the result, finished
/// evaluations. Doing it twice changes nothing.
[[nodiscard]] IngestedRun IngestRun(const Store& store,
                                    StoreTransaction& transaction,
                                    const std::string& run_id,
                                    EventsTaken events = EventsTaken::kAll);

}  // namespace sweep
