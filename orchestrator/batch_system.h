#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/failure.h"
#include "orchestrator/batch_submission.h"
#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// What an answer to a submission means.
struct SubmitAnswer {
  enum class Kind {
    kAccepted,
    kRefused,    ///< it will never be accepted as it is
    kTooMany,    ///< certainly not accepted: as many as this are over a limit, fewer perhaps not
    kBusy,       ///< certainly not accepted now, but later perhaps (a limit, a controller away)
    kUncertain,  ///< it may have been accepted: ask the queue before sending anything again
  };
  Kind kind = Kind::kUncertain;
  std::string job;      ///< of an accepted one
  std::string message;  ///< of the others
};

/// One of our tasks, as its scheduler lists it.
struct ListedTask {
  enum class Phase { kQueued, kRunning, kEnded, kUnknown };
  std::string job;    ///< the scheduler's own number
  std::string state;  ///< in the scheduler's words
  Phase phase = Phase::kUnknown;
  std::string cause;  ///< of an end, as AttemptNews::cause; empty where the trainer's exit says
  std::string waits_for = {};  ///< of a queued one that needs somebody's help, as BadConstraints
};

/// A scheduler of other people's machines. It is asked little and believed less: what a job
/// achieved is read from files.
class BatchSystem {
 public:
  virtual ~BatchSystem() = default;

  /// Of the executor: recorded with every attempt.
  [[nodiscard]] virtual std::string name() const = 0;
  /// Called once before anything is submitted: asks for its limits. Throws
  /// Failure(kSchedulerUnreachable) when it does not answer, Failure(kUsage) for settings that it
  /// cannot serve.
  virtual void Prepare() = 0;
  /// Tasks that one submission may have.
  [[nodiscard]] virtual size_t most_in_submission() const = 0;
  /// Tasks of ours that may be in its queue.
  [[nodiscard]] virtual size_t most_at_once() const = 0;

  virtual SubmitAnswer Submit(const BatchSubmission& submission) = 0;

  /// One question for all: which of these tasks (our names) does it have? Those it does not know
  /// are left out. Throws NoAnswer.
  [[nodiscard]] virtual std::map<std::string, ListedTask> List(
      const std::vector<std::string>& names) = 0;

  /// Asks it to end these tasks; those it does not know have ended. Returns how many were asked
  /// for. Throws NoAnswer.
  virtual size_t Cancel(const std::vector<std::string>& names) = 0;

  /// It did not answer, or not in a way that can be read.
  class NoAnswer : public Failure {
   public:
    explicit NoAnswer(const std::string& what)
        : Failure(FailureCode::kSchedulerUnreachable, what) {}
  };
};

/// The scheduler of an executor `kind`, as `slurm`; null for `local`. `store` is the store's
/// folder.
[[nodiscard]] std::unique_ptr<BatchSystem> MakeBatchSystem(const std::string& kind,
                                                           const ExecutorSettings& settings,
                                                           const std::filesystem::path& store);

/// Where a store keeps its submissions.
[[nodiscard]] std::filesystem::path SubmissionsFolder(const std::filesystem::path& store);

}  // namespace sweep
