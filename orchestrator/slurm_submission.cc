#include "orchestrator/slurm_submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>

#include "core/failure.h"
#include "core/files.h"
#include "core/run_directory.h"
#include "orchestrator/slurm_queue.h"

namespace sweep {
namespace {

constexpr int64_t kMostWarning = 120;  // seconds before the time limit at which a run is told

std::string NewToken() {
  std::random_device random;
  return fmt::format("sweep-{:08x}{:04x}", random(), random() & 0xFFFFU);
}

std::string ShellQuoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// What every task does, after the lines that say which. A good trainer saves on SIGTERM and exits
// with 130. The end of one is written down unless Slurm took the job away (TERM), as Slurm says
// why. A run that its time limit ended goes back to the queue if it got further; if not, it never
// will.
constexpr const char* kScript = R"sh(
[ -e "$submission/revoked" ] && exit 0
IFS=$'\t' read -r run attempt < <(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$submission/tasks")
folder=$run/attempts/$attempt

newest_checkpoint() { ls "$run"/attempts/*/checkpoints 2>/dev/null | grep -E '^[0-9]+$' | sort | tail -n 1; }
write_exit() { printf '%s\n' "$*" >"$folder/exit.new" && mv "$folder/exit.new" "$folder/exit"; }

before=$(newest_checkpoint)
taken_away= time_is_up=
"${trainer[@]}" "$run" "$attempt" >>"$folder/stdout.log" 2>>"$folder/stderr.log" &
child=$!
trap 'time_is_up=yes; kill -TERM $child' USR1
trap 'taken_away=yes; kill -TERM $child' TERM
wait $child
while kill -0 $child 2>/dev/null; do wait $child; done
wait $child
code=$?

# A signal to the whole job may have ended the trainer before it reached this shell.
[ $code -ge 128 ] && sleep 2
if [ $code != 0 ] && [ $taken_away ]; then exit $code; fi
if [ $code != 0 ] && [ $time_is_up ]; then
  if [ "$(newest_checkpoint)" != "$before" ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && exit $code
  fi
  write_exit $code time_limit
  exit $code
fi
write_exit $code
exit $code
)sh";

}  // namespace

SlurmSubmission::SlurmSubmission(const std::filesystem::path& submissions)
    : SlurmSubmission(submissions, NewToken()) {}

SlurmSubmission::SlurmSubmission(const std::filesystem::path& submissions, std::string token)
    : folder_(std::filesystem::absolute(submissions) / token), token_(std::move(token)) {}

std::string SlurmSubmission::Add(const AttemptJob& job) {
  jobs_.push_back(job);
  return SlurmTaskName(token_, static_cast<int64_t>(jobs_.size()) - 1);
}

std::string SlurmSubmission::Script(const ExecutorSettings& settings) const {
  std::string script = "#!/bin/bash\n# One attempt of one run, as a task of a Slurm array.\n";
  script += "submission=" + ShellQuoted(folder_.string()) + "\ntrainer=(";
  // Passes signals on to every process, and ends all when one dies.
  if (settings.processes() > 1) script += "srun --kill-on-bad-exit=1 ";
  const std::vector<std::string>& argv = jobs_.front().argv;
  for (size_t i = 0; i + 2 < argv.size(); ++i)  // the last two are the run's folder and attempt
    script += (i == 0 ? "" : " ") + ShellQuoted(argv[i]);
  return script + ")\n" + kScript;
}

std::vector<std::string> SlurmSubmission::Prepare(const ExecutorSettings& settings) const {
  MakeDirectories(folder_);
  std::string tasks;
  for (const AttemptJob& job : jobs_)
    tasks += fmt::format("{}\t{}\n", job.run_directory.string(), job.attempt);
  WriteFileAtomic(folder_ / "tasks", tasks);
  WriteFileAtomic(folder_ / "job.sh", Script(settings));

  std::vector<std::string> words = {
      "sbatch",
      "--parsable",
      "--job-name=" + token_,
      "--output=" + (folder_ / "slurm-%a.log").string(),
      "--open-mode=append",
      "--requeue",
      fmt::format("--nodes={}", settings.nodes_per_run),
      fmt::format("--ntasks={}", settings.processes()),
      fmt::format("--ntasks-per-node={}", settings.processes() / settings.nodes_per_run),
      fmt::format("--cpus-per-task={}", settings.threads_per_run)};
  std::string array = fmt::format("--array=0-{}", jobs_.size() - 1);
  if (settings.max_running) array += fmt::format("%{}", *settings.max_running);
  words.push_back(array);
  if (settings.gpus_per_run.value_or(0) > 0)
    words.push_back(fmt::format("--gres=gpu:{}", *settings.gpus_per_run / settings.nodes_per_run));
  if (settings.time_limit_seconds) {
    const auto seconds = static_cast<int64_t>(std::ceil(*settings.time_limit_seconds));
    words.push_back(fmt::format("--time={}", (seconds + 59) / 60));
    words.push_back(fmt::format("--signal=B:USR1@{}", std::min(kMostWarning, seconds / 2)));
  }
  if (!settings.partition.empty()) words.push_back("--partition=" + settings.partition);
  if (!settings.account.empty()) words.push_back("--account=" + settings.account);
  if (!settings.qos.empty()) words.push_back("--qos=" + settings.qos);
  if (!settings.constraint.empty()) words.push_back("--constraint=" + settings.constraint);
  words.insert(words.end(), settings.lines.begin(), settings.lines.end());
  words.push_back((folder_ / "job.sh").string());
  return words;
}

void SlurmSubmission::MarkAccepted(const std::string& job) const {
  WriteFileAtomic(folder_ / "accepted", job + "\n");
}

bool SlurmSubmission::IsAccepted() const {
  return std::filesystem::exists(folder_ / "accepted");
}

void SlurmSubmission::Revoke() const {
  MakeDirectories(folder_);
  WriteFileAtomic(folder_ / "revoked", "");
}

std::optional<SlurmExit> ReadSlurmExit(const std::filesystem::path& run_directory,
                                       int64_t attempt) {
  const std::filesystem::path path = RunDirectory(run_directory).attempt(attempt) / "exit";
  if (!std::filesystem::exists(path)) return std::nullopt;
  SlurmExit exit;
  std::istringstream(ReadFile(path)) >> exit.exit_code >> exit.cause;
  return exit;
}

}  // namespace sweep
