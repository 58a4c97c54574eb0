#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/run_directory.h"
#include "db/store.h"

namespace sweep {

/// What one run's folder had to say beyond what the store knew.
struct IngestedRun {
  std::optional<RunResult> result;
  std::vector<std::string> warnings;  ///< damaged lines and files, named
};

/// Takes in everything a run's folder holds: new events by byte offset, the result, finished
/// evaluations. Doing it twice changes nothing. Damaged files become warnings: one bad file must
/// not hide the others.
[[nodiscard]] IngestedRun IngestRun(const Store& store,
                                    StoreTransaction& transaction,
                                    const std::string& run_id);

}  // namespace sweep
