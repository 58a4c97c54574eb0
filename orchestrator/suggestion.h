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
  std::size_t on_the_way = 0;          ///< of these, no points: to be trained before others

  /// How many there are to choose from.
  [[nodiscard]] std::size_t open() const { return runs.size() - under_way.size() - on_the_way; }
};

/// Runs that failed, diverged or were cancelled are no candidates, nor is what starts from them.
/// `group`: of the points that the question is about, found by `query` for `law`; runs of other
/// curves and rows that `query` leaves out are no candidates either, but those that a candidate
/// starts from cost what they cost. `sweep` must outlive the result.
[[nodiscard]] CandidateRuns FindCandidates(const ExpandedSweep& sweep,
                                           const RunStates& states,
                                           const TrainRates& rates,
                                           const Json& group,
                                           const PointQuery& query,
                                           const Law& law);

/// The runs that are no points and have to be trained for the design's steps.
[[nodiscard]] std::vector<const RunRow*> RunsOnTheWay(const CandidateRuns& runs,
                                                      const Design& design);

/// The sweep's own file with these runs alone, and `chosen_by` to say so. Throws Failure(kUsage)
/// with what would be wrong with it in `folder`.
[[nodiscard]] Json SuggestedSweepFile(const ExpandedSweep& sweep,
                                      const std::vector<std::string>& run_ids,
                                      const std::filesystem::path& folder);

}  // namespace sweep
