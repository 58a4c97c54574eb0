#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "orchestrator/batch_system.h"
#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// Slurm: a submission is a job array; one squeue asks for all of them, and one sacct, where the
/// cluster keeps accounts, for those that squeue has forgotten. Slurm itself forgets at once a task
/// that is cancelled while others of its array wait with it, so those that we cancel are
/// written down in their submission's folder.
class SlurmSystem : public BatchSystem {
 public:
  SlurmSystem(const ExecutorSettings& settings, std::filesystem::path submissions);

  [[nodiscard]] std::string name() const override { return "slurm"; }
  void Prepare() override;
  [[nodiscard]] size_t most_in_submission() const override { return most_in_array_; }
  [[nodiscard]] size_t most_at_once() const override { return most_at_once_; }
  SubmitAnswer Submit(const BatchSubmission& submission) override;
  [[nodiscard]] std::map<std::string, ListedTask> List(
      const std::vector<std::string>& names) override;
  size_t Cancel(const std::vector<std::string>& names) override;

 private:
  ExecutorSettings settings_;
  std::filesystem::path submissions_;
  std::chrono::milliseconds answer_timeout_;
  size_t most_in_array_ = 0;
  size_t most_at_once_ = 0;
  bool has_accounts_ = false;
};

}  // namespace sweep
