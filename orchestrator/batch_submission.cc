#include "orchestrator/batch_submission.h"

#include <fmt/format.h>

#include <random>
#include <sstream>
#include <string_view>

#include "core/files.h"
#include "core/run_directory.h"

namespace sweep {
namespace {

constexpr size_t kTokenDigits = 9;  // with "sweep-" the 15 characters that PBS takes for a name

std::string NewToken() {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::random_device random;
  std::uniform_int_distribution<size_t> digit(0, kDigits.size() - 1);
  std::string token = "sweep-";
  for (size_t i = 0; i < kTokenDigits; ++i) token += kDigits[digit(random)];
  return token;
}

std::string ShellQuoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

const char* const kJobShell = R"sh(
write_exit() { printf '%s\n' "$*" >"$folder/exit.new" && mv "$folder/exit.new" "$folder/exit"; }

await_child() {
  wait $child
  while kill -0 $child 2>/dev/null; do wait $child; done
  wait $child
  code=$?
  # Bash 5.2 can lose the status of a child that ends in the moment of a trap.
  [ $code -lt 0 ] && code=143
  # A signal to the whole job may have ended the trainer before it reached this shell.
  [ $code -ge 128 ] && sleep 2
}
)sh";

BatchSubmission::BatchSubmission(const std::filesystem::path& submissions, const JobLimits& limits)
    : BatchSubmission(submissions, NewToken()) {
  limits_ = limits;
}

BatchSubmission::BatchSubmission(const std::filesystem::path& submissions, std::string token)
    : folder_(std::filesystem::absolute(submissions) / token), token_(std::move(token)) {}

std::string BatchSubmission::Add(const AttemptJob& job) {
  jobs_.push_back(job);
  return BatchTaskName(token_, static_cast<int64_t>(jobs_.size()) - 1);
}

void BatchSubmission::Write(const std::string& launcher, const std::string& body) const {
  std::string tasks;
  for (const AttemptJob& job : jobs_)
    tasks += fmt::format("{}\t{}\n", job.run_directory.string(), job.attempt);
  std::string trainer = launcher;
  const std::vector<std::string>& argv = jobs_.front().argv;
  for (size_t i = 0; i + 2 < argv.size(); ++i)  // the last two are the run's folder and attempt
    trainer += (trainer.empty() ? "" : " ") + ShellQuoted(argv[i]);
  MakeDirectories(folder_);
  WriteFileAtomic(folder_ / "tasks", tasks);
  WriteFileAtomic(
      script(),
      fmt::format("#!/bin/bash\n# One attempt of one run.\nsubmission={}\ntrainer=({})\n{}",
                  ShellQuoted(folder_.string()),
                  trainer,
                  body));
}

void BatchSubmission::MarkAccepted(const std::string& job) const {
  WriteFileAtomic(folder_ / "accepted", job + "\n");
}

std::optional<std::string> BatchSubmission::AcceptedAs() const {
  if (!std::filesystem::exists(folder_ / "accepted")) return std::nullopt;
  std::string job;
  std::istringstream(ReadFile(folder_ / "accepted")) >> job;
  return job;
}

void BatchSubmission::Revoke() const {
  MakeDirectories(folder_);
  WriteFileAtomic(folder_ / "revoked", "");
}

std::string BatchTaskName(const std::string& token, int64_t index) {
  return fmt::format("{}_{}", token, index);
}

std::string TokenOf(const std::string& task_name) {
  return task_name.substr(0, task_name.rfind('_'));
}

std::optional<BatchExit> ReadBatchExit(const std::filesystem::path& run_directory,
                                       int64_t attempt) {
  const std::filesystem::path path = RunDirectory(run_directory).attempt(attempt) / "exit";
  if (!std::filesystem::exists(path)) return std::nullopt;
  BatchExit exit;
  std::istringstream(ReadFile(path)) >> exit.exit_code >> exit.cause;
  return exit;
}

}  // namespace sweep
