#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/sweep_file/run_draft.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// Where one draft's weights come from. Neither: from scratch.
struct RunLink {
  std::optional<size_t> parent;  ///< index of another draft …
  int64_t samples_seen = 0;      ///< … and how many samples it has seen by then, whole steps
  StartSpec files;               ///< content ids of files of weights …
  std::map<std::string, std::string> paths;  ///< … and where they lie
};

/// Resolves every draft's `start`. `{"from": {FIELD: VALUE}}` means the one draft that has these
/// values and, in every other field but `start`, the value of the draft that says so; fields that
/// are derived or left at their default in either of the two are not compared. No such draft,
/// several, and drafts that in the end start from themselves are problems, and nothing comes back
/// then.
[[nodiscard]] std::optional<std::vector<RunLink>> LinkRuns(const SweepFile& file,
                                                           const std::vector<RunDraft>& drafts,
                                                           ProblemList& problems);

}  // namespace sweep
