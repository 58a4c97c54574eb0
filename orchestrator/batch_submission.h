#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/executor.h"
#include "orchestrator/job_limits.h"

namespace sweep {

/// A task is a line of two columns, and `sbatch` takes a path in a line of its own: throws
/// Failure(kUsage) for a path that has a newline, carriage return or tab in it.
void RequirePathForJobs(const std::filesystem::path& path);

/// What is handed to a scheduler at once, on its way there: `STORE/submissions/TOKEN/` with `tasks`
/// (a line a task: run folder, attempt) and `job.sh`. The token is the job's name, so that what
/// became of a submission whose answer was lost can be asked for.
class BatchSubmission {
 public:
  /// An empty one with a new token, of tasks that ask for the same.
  BatchSubmission(const std::filesystem::path& submissions, const JobLimits& limits);
  /// One that was written before.
  BatchSubmission(const std::filesystem::path& submissions, std::string token);

  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const JobLimits& limits() const { return limits_; }
  [[nodiscard]] size_t size() const { return jobs_.size(); }
  [[nodiscard]] std::filesystem::path script() const { return folder_ / "job.sh"; }

  /// Adds a task and returns our name of it.
  std::string Add(const AttemptJob& job);
  /// Leaves out all tasks but the first `size`.
  void Shorten(size_t size) { jobs_.resize(size); }

  /// Writes the folder. The script sets `submission` to it and `trainer` to the words that start
  /// one, `launcher` before them, and goes on with `body`.
  void Write(const std::string& launcher, const std::string& body) const;

  /// The scheduler has it, by this name.
  void MarkAccepted(const std::string& job) const;
  [[nodiscard]] std::optional<std::string> AcceptedAs() const;

  /// From now on a task of it that starts nevertheless, because the scheduler had it after all,
  /// ends at once.
  void Revoke() const;

 private:
  std::filesystem::path folder_;
  std::string token_;
  JobLimits limits_;
  std::vector<AttemptJob> jobs_;
};

/// Our name of a task: the submission's token and its index in it, as "TOKEN_5".
[[nodiscard]] std::string BatchTaskName(const std::string& token, int64_t index);
[[nodiscard]] std::string TokenOf(const std::string& task_name);

/// Shell functions of the scripts: `write_exit CODE [CAUSE]` leaves in the attempt's `folder` how
/// its trainer ended; `await_child` sets `code` to the exit code of `child`, whatever traps come
/// between.
extern const char* const kJobShell;

/// How the trainer of an attempt ended, as its job's script left it in the attempt's folder.
struct BatchExit {
  int exit_code = 0;
  std::string cause;  ///< as AttemptNews::cause, or empty
};
[[nodiscard]] std::optional<BatchExit> ReadBatchExit(const std::filesystem::path& run_directory,
                                                     int64_t attempt);

}  // namespace sweep
