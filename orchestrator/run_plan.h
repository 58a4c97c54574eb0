#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "db/records.h"

namespace sweep {

/// What is missing of one run.
struct RunWork {
  const RunRow* run = nullptr;  ///< lives in the SweepRow the plan was made from
  bool train = false;
  std::vector<const EvaluationRequest*> evaluations;  ///< of the run
};

/// Which runs of a sweep are wanted, which are ready, and which wait for a parent. Pure
/// bookkeeping: it starts nothing and asks nobody.
class RunPlan {
 public:
  /// `sweep` must outlive the plan. Runs that failed or diverged earlier are left as they are
  /// unless `retry_failed`; cancelled runs likewise.
  RunPlan(const SweepRow& sweep,
          const RunStates& states,
          const IdSet& finished_evaluations,
          bool retry_failed);

  /// The ready work with the most compute, so that the longest run does not start last; nullopt
  /// when nothing is ready now.
  [[nodiscard]] std::optional<RunWork> TakeReady();

  /// Takes the work of a run whose attempt goes on already; nullopt for a run that is not of this
  /// sweep.
  [[nodiscard]] std::optional<RunWork> TakeOngoing(const std::string& run_id);

  /// Reports on work that was taken.
  void Done(const std::string& run_id);
  void Failed(const std::string& run_id);  ///< its descendants will never be ready
  void PutBack(const RunWork& work);       ///< ready again

  /// Wants a run of this sweep that had failed; false for any other run, and for one that is wanted
  /// already.
  [[nodiscard]] bool Retry(const std::string& run_id, const IdSet& finished_evaluations);

  /// Nothing is ready and nothing is out.
  [[nodiscard]] bool Finished() const { return ready_.empty() && taken_.empty(); }

  [[nodiscard]] size_t total_runs() const { return total_runs_; }
  [[nodiscard]] size_t already_done() const { return already_done_; }
  /// Work that waited for a parent which failed.
  [[nodiscard]] size_t blocked() const { return waiting_.size(); }
  /// Everything still to do, in the sweep's order: what `sweep plan` shows.
  [[nodiscard]] std::vector<RunWork> Remaining() const;

 private:
  void ReleaseChildren(const std::string& run_id);
  template <class Container>
  static std::optional<RunWork> Extract(Container& works, const std::string& run_id);

  const SweepRow& sweep_;
  std::multimap<double, RunWork> ready_;         // by compute
  std::multimap<std::string, RunWork> waiting_;  // by parent
  std::map<std::string, RunWork> taken_;         // by run
  size_t total_runs_ = 0;
  size_t already_done_ = 0;
};

}  // namespace sweep
