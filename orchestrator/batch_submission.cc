#include "orchestrator/batch_submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <string_view>

#include "core/failure.h"
#include "core/files.h"
#include "core/printable.h"
#include "core/run_directory.h"

namespace sweep {
namespace {

constexpr int64_t kMostExitBytes = 4096;
constexpr int kMostExitCode = 255;
constexpr size_t kTokenDigits = 9;  // with "sweep-" the 15 characters that PBS takes for a name

constexpr size_t kMostTokenShown = 60;

std::string NewToken() {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::random_device random;
  std::uniform_int_distribution<size_t> digit(0, kDigits.size() - 1);
  std::string token = "sweep-";
  for (size_t i = 0; i < kTokenDigits; ++i) token += kDigits[digit(random)];
  return token;
}

// It may come from the database of somebody else's store, and becomes a folder's name.
const std::string& RequireToken(const std::string& token) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!token.empty() && token.front() != '-' && std::all_of(token.begin(), token.end(), is_part))
    return token;
  throw Failure(FailureCode::kDatabase,
                fmt::format("the store names a job '{}', which no sweep has given",
                            Printable(token, kMostTokenShown)));
}

std::string ShellQuoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

const char* const kJobShell = R"sh(
# Whole or not there, also after a loss of power. `sync` of a file is coreutils 8.24; an older one
# syncs all. A link or folder under the name is replaced or refused, never followed.
publish() {
  local new="$1.new.$$"
  rm -f "$new"
  printf '%s\n' "$2" >"$new" && { sync "$new" 2>/dev/null || sync; } && mv -fT "$new" "$1" ||
    { rm -f "$new"; return 1; }
  sync "${1%/*}" 2>/dev/null || true
}
write_exit() { publish "$folder/exit" "$*"; }

# What the shell that handed the job over inherited from a launcher of its own is not about it.
unset RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_RANK NODE_RANK MASTER_ADDR MASTER_PORT

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

void RequirePathForJobs(const std::filesystem::path& path) {
  if (path.string().find_first_of("\n\r\t") == std::string::npos) return;
  throw Failure(FailureCode::kUsage,
                "the store's path has a newline, carriage return or tab in it, which a scheduler's "
                "job cannot be given: move the store to a path without");
}

BatchSubmission::BatchSubmission(const std::filesystem::path& submissions, const JobLimits& limits)
    : BatchSubmission(submissions, NewToken()) {
  limits_ = limits;
}

BatchSubmission::BatchSubmission(const std::filesystem::path& submissions, std::string token)
    : folder_(std::filesystem::absolute(submissions) / RequireToken(token)),
      token_(std::move(token)) {}

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
  return job.empty() ? std::nullopt : std::optional(job);
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
  // Empty or torn, as a loss of power leaves it: how the trainer ended is not known.
  const std::string text = ReadFile(path, kMostExitBytes);
  if (!text.ends_with('\n')) return std::nullopt;
  BatchExit exit;
  std::istringstream line(text);
  if (!(line >> exit.exit_code) || exit.exit_code < 0 || exit.exit_code > kMostExitCode)
    return std::nullopt;
  line >> exit.cause;
  return exit;
}

}  // namespace sweep
