#include "orchestrator/slurm_system.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <utility>

#include "core/failure.h"
#include "core/files.h"
#include "orchestrator/slurm_queue.h"
#include "orchestrator/subprocess.h"

namespace sweep {
namespace {

constexpr int64_t kDefaultArraySize = 1001;  // of Slurm
constexpr int64_t kDefaultJobCount = 10000;  // of Slurm
constexpr size_t kMostAtOnce = 5000;         // tasks of ours in the queue
constexpr int64_t kMostWarning = 120;        // seconds before the time limit at which a run is told
constexpr const char* kCancelledFile = "cancelled";

// What every task does, after the lines that say which. A good trainer saves on SIGTERM and exits
// with 130. The end of one is written down unless Slurm took the job away (TERM), as Slurm says
// why. A run that its time limit ended goes back to the queue if it got further; if not, it never
// will. A step of several processes is signalled through Slurm: `srun` itself takes a TERM as an
// order to kill them.
constexpr const char* kBody = R"sh(
[ -e "$submission/revoked" ] && exit 0
IFS=$'\t' read -r run attempt < <(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$submission/tasks")
folder=$run/attempts/$attempt

newest_checkpoint() { ls "$run"/attempts/*/checkpoints 2>/dev/null | grep -E '^[0-9]+$' | sort | tail -n 1; }

before=$(newest_checkpoint)
taken_away= time_is_up=
"${trainer[@]}" "$run" "$attempt" >>"$folder/stdout.log" 2>>"$folder/stderr.log" &
child=$!
stop_trainer() {
  if [ "${trainer[0]}" = srun ]; then scancel --signal=TERM "$SLURM_JOB_ID.0"; else kill -TERM $child; fi
}
trap 'time_is_up=yes; stop_trainer' USR1
trap 'taken_away=yes; stop_trainer' TERM
await_child
if [ $code != 0 ] && [ $taken_away ]; then exit $code; fi
if [ $code != 0 ] && [ $time_is_up ]; then
  if [ "$(newest_checkpoint)" != "$before" ]; then
    # The controller may be away for a moment; the time limit ends the wait.
    for try in 1 2 3 4 5; do
      scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && exit $code
      sleep 2
    done
  fi
  write_exit $code time_limit
  exit $code
fi
write_exit $code
exit $code
)sh";

std::vector<std::string> SbatchCommand(const BatchSubmission& submission,
                                       const ExecutorSettings& settings) {
  std::vector<std::string> words = {
      "sbatch",
      "--parsable",
      "--job-name=" + submission.token(),
      "--output=" + (submission.folder() / "slurm-%a.log").string(),
      "--open-mode=append",
      "--requeue",
      fmt::format("--nodes={}", settings.nodes_per_run),
      fmt::format("--ntasks={}", settings.processes()),
      fmt::format("--ntasks-per-node={}", settings.processes() / settings.nodes_per_run),
      fmt::format("--cpus-per-task={}", settings.threads_per_run)};
  std::string array = fmt::format("--array=0-{}", submission.size() - 1);
  if (settings.max_running) array += fmt::format("%{}", *settings.max_running);
  words.push_back(array);
  if (settings.gpus_per_run.value_or(0) > 0)
    words.push_back(fmt::format("--gres=gpu:{}", *settings.gpus_per_run / settings.nodes_per_run));
  if (const auto memory = submission.limits().memory_bytes) {
    constexpr double kMegabyte = 1 << 20;
    words.push_back(fmt::format("--mem={}M", static_cast<int64_t>(std::ceil(*memory / kMegabyte))));
  }
  if (const auto limit = submission.limits().seconds) {
    const auto seconds = static_cast<int64_t>(std::ceil(*limit));
    words.push_back(fmt::format("--time={}", (seconds + 59) / 60));
    words.push_back(fmt::format("--signal=B:USR1@{}", std::min(kMostWarning, seconds / 2)));
  }
  if (!settings.partition.empty()) words.push_back("--partition=" + settings.partition);
  if (!settings.account.empty()) words.push_back("--account=" + settings.account);
  if (!settings.qos.empty()) words.push_back("--qos=" + settings.qos);
  if (!settings.constraint.empty()) words.push_back("--constraint=" + settings.constraint);
  words.insert(words.end(), settings.lines.begin(), settings.lines.end());
  words.push_back(submission.script().string());
  return words;
}

std::vector<std::string> SqueueCommand() {
  return {"squeue",
          "--noheader",
          "--array",
          "--states=all",
          fmt::format("--user={}", ::getuid()),
          fmt::format("--format={}", kSqueueFormat)};
}

std::string NoAnswerText(const std::string& command, const CommandResult& result) {
  if (result.timed_out) return command + " did not answer in time";
  return fmt::format(
      "{} failed: {}",
      command,
      result.error.empty() ? "is Slurm's controller up? `sinfo` should say so" : result.error);
}

std::map<std::string, SlurmTask> AskQueue(std::chrono::milliseconds timeout) {
  const CommandResult result = RunCommand(SqueueCommand(), timeout);
  if (!result.ok()) throw BatchSystem::NoAnswer(NoAnswerText("squeue", result));
  return ParseSqueue(result.out);
}

std::set<std::string> TokensOf(const std::vector<std::string>& names) {
  std::set<std::string> tokens;
  for (const std::string& name : names) tokens.insert(TokenOf(name));
  return tokens;
}

// Which of these tasks of ours have ended, by the accounts. What these call running may have been
// lost by them, so it is no news; and without an answer there is none either.
std::map<std::string, SlurmTask> AskAccounts(const std::vector<std::string>& names,
                                             std::chrono::milliseconds timeout) {
  const std::set<std::string> tokens = TokensOf(names);
  // sacct cuts long lists of indices where that variable does not say not to.
  const CommandResult result = RunCommand({"env",
                                           "SLURM_BITSTR_LEN=0",
                                           "sacct",
                                           "--noheader",
                                           "--parsable2",
                                           "--allocations",
                                           "--starttime=now-30days",
                                           fmt::format("--name={}", fmt::join(tokens, ",")),
                                           fmt::format("--format={}", kSacctFormat)},
                                          timeout);
  if (!result.ok()) return {};
  std::map<std::string, SlurmTask> ended = ParseSacct(result.out, names);
  std::erase_if(ended,
                [](const auto& task) { return PhaseOf(task.second) != ListedTask::Phase::kEnded; });
  return ended;
}

// Of a submission: our names of the tasks that were to be cancelled, a line each.
std::string ReadCancelled(const std::filesystem::path& submission) {
  const std::filesystem::path path = submission / kCancelledFile;
  return std::filesystem::exists(path) ? ReadFile(path) : "";
}

void WriteCancelled(const std::filesystem::path& submissions,
                    const std::vector<std::string>& names) {
  std::map<std::string, std::string> lines;  // by submission
  for (const std::string& name : names) lines[TokenOf(name)] += name + "\n";
  for (const auto& [token, text] : lines) {
    const std::filesystem::path submission = submissions / token;
    WriteFileAtomic(submission / kCancelledFile, ReadCancelled(submission) + text);
  }
}

std::map<std::string, SlurmTask> CancelledOf(const std::filesystem::path& submissions,
                                             const std::set<std::string>& tokens) {
  std::map<std::string, SlurmTask> tasks;
  for (const std::string& token : tokens) {
    std::istringstream lines(ReadCancelled(submissions / token));
    for (std::string name; std::getline(lines, name);) tasks[name] = {"", "CANCELLED", ""};
  }
  return tasks;
}

}  // namespace

SlurmSystem::SlurmSystem(const ExecutorSettings& settings, std::filesystem::path submissions)
    : settings_(settings),
      submissions_(std::move(submissions)),
      answer_timeout_(static_cast<int64_t>(1000 * settings.answer_timeout_seconds)) {}

void SlurmSystem::Prepare() {
  const CommandResult config = RunCommand({"scontrol", "show", "config"}, answer_timeout_);
  if (!config.ok())
    throw Failure(FailureCode::kSchedulerUnreachable, NoAnswerText("scontrol show config", config));
  const int64_t array_size =
      SlurmConfigValue(config.out, "MaxArraySize").value_or(kDefaultArraySize);
  const int64_t job_count = SlurmConfigValue(config.out, "MaxJobCount").value_or(kDefaultJobCount);
  const std::string accounts = SlurmConfigWord(config.out, "AccountingStorageType").value_or("");
  has_accounts_ = accounts == "accounting_storage/slurmdbd";
  // Indices go up to MaxArraySize - 1; the queue is shared with others.
  most_in_array_ = static_cast<size_t>(std::max<int64_t>(1, array_size - 1));
  most_at_once_ =
      std::clamp<size_t>(static_cast<size_t>(std::max<int64_t>(2, job_count) / 2), 1, kMostAtOnce);
}

SubmitAnswer SlurmSystem::Submit(const BatchSubmission& submission) {
  // `srun` passes signals on to every process, and ends all when one dies.
  submission.Write(settings_.processes() > 1 ? "srun --kill-on-bad-exit=1" : "",
                   std::string(kJobShell) + kBody);
  const CommandResult result = RunCommand(SbatchCommand(submission, settings_), answer_timeout_);
  return ReadSbatchAnswer(result.exit_code, result.out, result.error);
}

std::map<std::string, ListedTask> SlurmSystem::List(const std::vector<std::string>& names) {
  std::map<std::string, SlurmTask> tasks = AskQueue(answer_timeout_);
  std::vector<std::string> forgotten;
  for (const std::string& name : names) {
    if (!tasks.contains(name)) forgotten.push_back(name);
  }
  if (has_accounts_ && !forgotten.empty()) tasks.merge(AskAccounts(forgotten, answer_timeout_));
  tasks.merge(CancelledOf(submissions_, TokensOf(forgotten)));
  std::map<std::string, ListedTask> listed;
  for (const auto& [name, task] : tasks)
    listed[name] = {task.job, task.state, PhaseOf(task), CauseOf(task), WaitsFor(task)};
  return listed;
}

size_t SlurmSystem::Cancel(const std::vector<std::string>& names) {
  const std::map<std::string, SlurmTask> listed = AskQueue(answer_timeout_);
  std::vector<std::string> cancelled;
  std::vector<std::string> words = {"scancel"};
  for (const std::string& name : names) {
    const auto found = listed.find(name);
    if (found == listed.end() || PhaseOf(found->second) == ListedTask::Phase::kEnded) continue;
    cancelled.push_back(name);
    words.push_back(found->second.job);
  }
  if (cancelled.empty()) return 0;
  WriteCancelled(submissions_, cancelled);
  const CommandResult result = RunCommand(words, answer_timeout_);
  if (!result.ok()) throw NoAnswer(NoAnswerText("scancel", result));
  return cancelled.size();
}

}  // namespace sweep
