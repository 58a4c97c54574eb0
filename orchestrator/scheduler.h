#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/run_directory.h"
#include "db/store.h"
#include "orchestrator/attempt_verdict.h"
#include "orchestrator/executor.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/progress.h"
#include "orchestrator/run_plan.h"
#include "orchestrator/sweep_job.h"

namespace sweep {

struct SweepOutcome {
  size_t completed = 0;  ///< runs that ended well in this invocation, evaluations included
  size_t failed = 0;
  size_t diverged = 0;
  size_t blocked = 0;  ///< waited for a parent that failed
  bool interrupted = false;
  bool disk_full = false;  ///< stopped because a trainer found no room for its files
  std::vector<std::string>
      problems;  ///< a line for each run that failed: which, why, where its log is
};

/// Keeps the executor busy until the plan is done: start while there is room, wait for what ends,
/// take it in, repeat.
class Scheduler {
 public:
  /// All must outlive the scheduler.
  Scheduler(
      Store& store, const SweepJob& job, RunPlan& plan, Executor& executor, Progress& progress);

  /// Calls `after_news` with what has happened so far, many times a second.
  SweepOutcome Run(
      const InterruptGuard& interrupts,
      const std::function<void(const SweepOutcome&)>& after_news = [](const SweepOutcome&) {});

 private:
  struct Active {
    RunWork work;
    std::chrono::steady_clock::time_point started;
    bool recorded = false;  // as an attempt, in the store
  };

  void AdoptOngoing();
  void MendInputs(const RunWork& work, int64_t attempt);
  void TakeInRequests();
  void StartReady();
  [[nodiscard]] bool IsDoneAlready(const RunWork& work);
  enum class Readiness { kReady, kDone, kNoRoom, kBroken };
  [[nodiscard]] Readiness MakeReady(const RunWork& work);
  void GiveUp(const RunWork& work, const std::string& why);
  void ClearFolder(const RunWork& work);
  struct Start {
    RunWork work;
    AttemptRequest request;
  };
  void RecordIntents(const std::vector<Start>& starts);
  void WriteRequests(const std::vector<Start>& starts);
  void StartAttempts(const std::vector<Start>& starts);
  void RecordAttempt(StoreTransaction& transaction,
                     const RunWork& work,
                     int64_t attempt,
                     const AttemptHandle& handle);
  [[nodiscard]] AttemptRequest RequestFor(const RunWork& work) const;
  [[nodiscard]] AttemptJob JobFor(const std::string& run_id, int64_t attempt) const;
  void TakeInNews(std::chrono::milliseconds wait);
  void Move(StoreTransaction& transaction, const AttemptNews& news);
  void Drop(StoreTransaction& transaction, const AttemptNews& news);
  void Settle(const AttemptNews& end, const AttemptVerdict& verdict);
  void TryAgain(const RunWork& work, const AttemptVerdict& verdict);
  void ReleaseDelayed();
  [[nodiscard]] bool MayRecordSteps(const RunRow& run) const;
  [[nodiscard]] bool IsWorthRetrying(const RunRow& run, const AttemptVerdict& verdict);
  void Count(const RunRow& run, const AttemptVerdict& verdict);
  void TakeInProgress();
  void Warn(const std::vector<std::string>& warnings);
  void StopEverything(const InterruptGuard& interrupts);
  [[nodiscard]] std::optional<double> PredictedSeconds(const RunWork& work) const;
  [[nodiscard]] double PredictedMemory(const RunWork& work) const;
  [[nodiscard]] std::map<std::string, std::string> LocationsFor(const RunRow& run) const;

  Store& store_;
  const SweepJob& job_;
  RunPlan& plan_;
  Executor& executor_;
  Progress& progress_;
  const std::unordered_map<std::string, std::set<int64_t>> checkpoints_needed_;  // by run
  const Json provenance_;  // of this process: recorded with every attempt
  SweepOutcome outcome_;
  std::map<std::string, Active> active_;          // by run
  std::map<std::string, int64_t> attempts_made_;  // by run, in this invocation
  std::multimap<std::chrono::steady_clock::time_point, RunWork> delayed_;  // by when they may go on
  std::set<std::string> without_graphs_;  // runs, after they ran out of memory
  std::map<std::string, int64_t>
      micro_batches_;             // by run, likewise; after that where steps were recorded
  std::set<std::string> warned_;  // what is wrong with files, each told once
  std::chrono::steady_clock::time_point next_progress_;
  std::chrono::steady_clock::time_point next_requests_;
  bool stopping_ = false;
};

/// The trainer to start: the sweep file's command, else clip_train beside this program, else on
/// PATH. Throws Failure(kUsage) with advice when there is none.
[[nodiscard]] std::vector<std::string> TrainerCommand(const TrainerSettings& settings);

}  // namespace sweep
