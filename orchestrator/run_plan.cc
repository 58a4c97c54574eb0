#include "orchestrator/run_plan.h"

#include <algorithm>
#include <unordered_map>

namespace sweep {
namespace {

bool IsFinal(RunState state, bool retry_failed) {
  switch (state) {
    case RunState::kCompleted:
      return true;
    case RunState::kFailed:
    case RunState::kDiverged:
    case RunState::kCancelled:
      return !retry_failed;
    default:
      return false;
  }
}

std::vector<const EvaluationRequest*> MissingEvaluations(const RunRow& run, const IdSet& finished) {
  std::vector<const EvaluationRequest*> missing;
  for (const EvaluationRequest& evaluation : run.evaluations) {
    if (!finished.contains(evaluation.eval_id)) missing.push_back(&evaluation);
  }
  return missing;
}

}  // namespace

RunPlan::RunPlan(const SweepRow& sweep,
                 const RunStates& states,
                 const IdSet& finished_evaluations,
                 bool retry_failed)
    : sweep_(sweep), total_runs_(sweep.runs.size()) {
  std::set<std::string> trained;
  for (const RunRow& run : sweep.runs) {
    const auto known = states.find(run.run_id);
    const RunState state = known == states.end() ? RunState::kPlanned : known->second;
    if (state == RunState::kCompleted) trained.insert(run.run_id);
    RunWork work{&run, !IsFinal(state, retry_failed), {}};
    if (work.train || state == RunState::kCompleted) {
      work.evaluations = MissingEvaluations(run, finished_evaluations);
    }
    if (!work.train && work.evaluations.empty()) {
      ++already_done_;
      continue;
    }
    const std::string& parent = run.spec.start.run_id;
    if (work.train && !parent.empty() && !trained.contains(parent)) {
      waiting_.emplace(parent, work);
    } else {
      ready_.emplace(run.compute_gmacs, work);
    }
  }
}

std::optional<RunWork> RunPlan::TakeReady() {
  if (ready_.empty()) return std::nullopt;
  auto longest = std::prev(ready_.end());
  RunWork work = longest->second;
  ready_.erase(longest);
  taken_[work.run->run_id] = work;
  return work;
}

template <class Container>
std::optional<RunWork> RunPlan::Extract(Container& works, const std::string& run_id) {
  const auto found = std::find_if(works.begin(), works.end(), [&](const auto& entry) {
    return entry.second.run->run_id == run_id;
  });
  if (found == works.end()) return std::nullopt;
  RunWork work = std::move(found->second);
  works.erase(found);
  return work;
}

std::optional<RunWork> RunPlan::TakeOngoing(const std::string& run_id) {
  std::optional<RunWork> work = Extract(ready_, run_id);
  if (!work) work = Extract(waiting_, run_id);
  if (!work) {
    const auto run = std::find_if(sweep_.runs.begin(), sweep_.runs.end(), [&](const RunRow& row) {
      return row.run_id == run_id;
    });
    if (run == sweep_.runs.end()) return std::nullopt;
    work = RunWork{&*run, false, {}};
  }
  taken_[run_id] = *work;
  return work;
}

void RunPlan::Done(const std::string& run_id) {
  taken_.erase(run_id);
  ReleaseChildren(run_id);
}

void RunPlan::Failed(const std::string& run_id) {
  taken_.erase(run_id);
}

void RunPlan::PutBack(const RunWork& work) {
  taken_.erase(work.run->run_id);
  ready_.emplace(work.run->compute_gmacs, work);
}

bool RunPlan::Retry(const std::string& run_id, const IdSet& finished_evaluations) {
  const auto is_it = [&](const auto& entry) { return entry.second.run->run_id == run_id; };
  const auto run = std::find_if(sweep_.runs.begin(), sweep_.runs.end(), [&](const RunRow& row) {
    return row.run_id == run_id;
  });
  if (run == sweep_.runs.end() || taken_.contains(run_id) ||
      std::any_of(ready_.begin(), ready_.end(), is_it) ||
      std::any_of(waiting_.begin(), waiting_.end(), is_it))
    return false;
  // It was started once, so what it starts from is there.
  ready_.emplace(run->compute_gmacs,
                 RunWork{&*run, true, MissingEvaluations(*run, finished_evaluations)});
  return true;
}

void RunPlan::ReleaseChildren(const std::string& run_id) {
  const auto [begin, end] = waiting_.equal_range(run_id);
  for (auto child = begin; child != end; ++child)
    ready_.emplace(child->second.run->compute_gmacs, child->second);
  waiting_.erase(begin, end);
}

std::vector<RunWork> RunPlan::Remaining() const {
  std::unordered_map<const RunRow*, const RunWork*> by_run;
  by_run.reserve(taken_.size() + waiting_.size() + ready_.size());
  for (const auto& [run_id, work] : taken_) by_run.emplace(work.run, &work);
  for (const auto& [parent, work] : waiting_) by_run.emplace(work.run, &work);
  for (const auto& [compute, work] : ready_) by_run.emplace(work.run, &work);
  std::vector<RunWork> remaining;
  remaining.reserve(by_run.size());
  for (const RunRow& run : sweep_.runs) {
    if (const auto found = by_run.find(&run); found != by_run.end())
      remaining.push_back(*found->second);
  }
  return remaining;
}

}  // namespace sweep
