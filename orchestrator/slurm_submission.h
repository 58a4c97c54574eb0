#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "orchestrator/executor.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// One job array on its way to Slurm: `STORE/submissions/TOKEN/` with `tasks` (a line a task: run
/// folder, attempt) and `job.sh`. The token is the job's name, so that what became of a submission
/// whose answer was lost can be asked for.
class SlurmSubmission {
 public:
  /// An empty one with a new token.
  explicit SlurmSubmission(const std::filesystem::path& submissions);
  /// One that was written before.
  SlurmSubmission(const std::filesystem::path& submissions, std::string token);

  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] size_t size() const { return jobs_.size(); }

  /// Adds a task and returns our name of it.
  std::string Add(const AttemptJob& job);

  /// Writes the folder and returns the words of the sbatch command.
  [[nodiscard]] std::vector<std::string> Prepare(const ExecutorSettings& settings) const;

  /// Slurm has it, as `job`.
  void MarkAccepted(const std::string& job) const;
  [[nodiscard]] bool IsAccepted() const;

  /// From now on a task of it that starts nevertheless, because Slurm had it after all, ends at
  /// once.
  void Revoke() const;

 private:
  [[nodiscard]] std::string Script(const ExecutorSettings& settings) const;

  std::filesystem::path folder_;
  std::string token_;
  std::vector<AttemptJob> jobs_;
};

/// How the trainer of an attempt ended, as its job's script left it in the attempt's folder.
struct SlurmExit {
  int exit_code = 0;
  std::string cause;  ///< `time_limit` or empty
};
[[nodiscard]] std::optional<SlurmExit> ReadSlurmExit(const std::filesystem::path& run_directory,
                                                     int64_t attempt);

}  // namespace sweep
