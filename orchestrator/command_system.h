#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "orchestrator/batch_system.h"
#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// Any scheduler that has a command to submit a script, one to list jobs and one to cancel one. A
/// submission is one task. A task is in the queue when a line of the list begins with its number
/// or has its name; whether it is at work and how it ended is known from the files that its script
/// leaves.
class CommandSystem : public BatchSystem {
 public:
  /// `submissions` is the store's folder of them.
  CommandSystem(ExecutorSettings settings, std::filesystem::path submissions);

  [[nodiscard]] std::string name() const override { return "command"; }
  void Prepare() override;
  [[nodiscard]] size_t most_in_submission() const override { return 1; }
  [[nodiscard]] size_t most_at_once() const override;
  SubmitAnswer Submit(const BatchSubmission& submission) override;
  [[nodiscard]] std::map<std::string, ListedTask> List(
      const std::vector<std::string>& names) override;
  /// As the commands were when the jobs were submitted.
  size_t Cancel(const std::vector<std::string>& names) override;

 private:
  [[nodiscard]] std::optional<std::string> JobIn(const std::string& text) const;
  [[nodiscard]] std::string JobOf(const BatchSubmission& submission);

  ExecutorSettings settings_;
  std::filesystem::path submissions_;
  std::chrono::milliseconds answer_timeout_;
  std::regex job_pattern_;
  std::map<std::string, std::string> jobs_;  // the scheduler's numbers, by token
  int64_t refusals_ = 0;                     // in a row
};

}  // namespace sweep
