#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/batch_submission.h"
#include "orchestrator/batch_system.h"
#include "orchestrator/executor.h"
#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// Runs attempts as jobs of a scheduler. Attempts started between two Polls are submitted together
/// where the scheduler takes several at once; one question a cycle asks for all of them. What an
/// attempt's end was is read from the file its job's script leaves; the scheduler's word is taken
/// where there is none, and its silence is never taken for an end.
class BatchExecutor : public Executor {
 public:
  /// `submissions` is the store's folder of them.
  BatchExecutor(std::unique_ptr<BatchSystem> system,
                const ExecutorSettings& settings,
                std::filesystem::path submissions);

  [[nodiscard]] std::string name() const override { return system_->name(); }
  [[nodiscard]] size_t Room() const override;
  AttemptHandle Start(const AttemptJob& job) override;
  void Adopt(const AttemptJob& job, const AttemptHandle& handle) override;
  [[nodiscard]] std::vector<AttemptNews> Poll(std::chrono::milliseconds timeout) override;
  void Stop(StopMode mode) override;
  [[nodiscard]] bool OutlivesSweep() const override { return true; }
  [[nodiscard]] size_t running() const override { return tasks_.size(); }
  [[nodiscard]] std::vector<std::string> TakeNotes() override;

 private:
  using Clock = std::chrono::steady_clock;

  struct Task {
    std::string run_id;
    int64_t attempt = 0;
    std::filesystem::path run_directory;
    std::string token;
    Clock::time_point since;        // when it was handed over, or adopted
    std::string state;              // the last that the scheduler said
    std::string job;                // the scheduler's number of it
    std::string waits_for;          // as ListedTask
    std::string cause;              // likewise, of one whose exit was written
    int64_t listings_without = 0;   // good answers in a row that did not name it
    int64_t listings_as_ended = 0;  // and that called it ended, while no exit was written
  };
  using Tasks = std::map<std::string, Task>;  // by our name

  // One that waits to be submitted and takes another task of these limits.
  BatchSubmission& PendingOf(const JobLimits& limits);
  void SubmitPending();
  void Submit(BatchSubmission submission);
  void Accepted(const BatchSubmission& submission, const std::string& job);
  void SubmitFewer(BatchSubmission submission, const std::string& message);
  void GiveBack(const BatchSubmission& submission, size_t first);
  void SubmitLater(const BatchSubmission& submission, const std::string& message);
  void TakeInExits();
  void AskQueue();
  void TakeInListing(const std::map<std::string, ListedTask>& listed);
  [[nodiscard]] bool HasEnded(Task& task, const ListedTask& now);  // news of it have been made
  [[nodiscard]] bool IsGone(Task& task);                           // likewise
  AttemptNews& Report(const Task& task, AttemptNews::Kind kind);
  void ReportQueued(Task& task, const ListedTask& now);
  void ReportEnd(const Task& task, const std::string& cause);
  void BackOff(Clock::duration& delay, Clock::time_point& next);
  void Note(const std::string& line);

  std::unique_ptr<BatchSystem> system_;
  ExecutorSettings settings_;
  std::filesystem::path submissions_;
  size_t most_at_once_;        // falls where the site turns out to take fewer
  size_t most_in_submission_;  // likewise
  Clock::duration poll_every_;
  std::chrono::milliseconds answer_timeout_;

  Tasks tasks_;
  std::vector<BatchSubmission> pending_;
  Clock::time_point next_submission_;
  Clock::duration submission_delay_{};
  Clock::time_point next_query_;
  Clock::duration query_delay_{};
  std::vector<AttemptNews> news_;
  std::vector<std::string> notes_;
  std::string last_note_;
};

}  // namespace sweep
