#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "fit/design.h"
#include "orchestrator/point_table.h"
#include "orchestrator/sweep_file/expanded_sweep.h"
#include "orchestrator/train_rate.h"

namespace sweep {

/// The runs of a sweep that have no result yet, as measurements that could be made.
struct CandidateRuns {
  std::vector<const RunRow*> runs;     ///< of the sweep, parents before their children
  std::vector<Candidate> candidates;   ///< device hours of each run's own segment as its cost
  std::vector<std::size_t> under_way;  ///< of these, at work or in a queue
};

/// Runs that failed, diverged or were cancelled are no candidates. `group`: of the points that the
/// question is about, found by `query` for `law`; runs of other curves and rows that `query` leaves
/// out are no candidates either. `sweep` must outlive the result.
[[nodiscard]] CandidateRuns FindCandidates(const ExpandedSweep& sweep,
                                           const RunStates& states,
                                           const TrainRates& rates,
                                           const Json& group,
                                           const PointQuery& query,
                                           const Law& law);

/// The sweep's own file with these runs alone, and `chosen_by` to say so. Throws Failure(kUsage)
/// with what would be wrong with it in `folder`.
[[nodiscard]] Json SuggestedSweepFile(const ExpandedSweep& sweep,
                                      const std::vector<std::string>& run_ids,
                                      const std::filesystem::path& folder);

}  // namespace sweep
