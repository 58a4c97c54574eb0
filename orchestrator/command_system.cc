#include "orchestrator/command_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <unordered_set>

#include "core/failure.h"
#include "core/files.h"
#include "core/json.h"
#include "orchestrator/subprocess.h"
#include "orchestrator/word_template.h"

namespace sweep {
namespace {

constexpr size_t kMostAtOnce = 1000;  // jobs of ours in the queue
constexpr int64_t kMostRefusals = 5;  // in a row, after which it is not a busy scheduler's mood
constexpr const char* kQueuedState = "PENDING";
constexpr const char* kRunningState = "RUNNING";
constexpr const char* kCancelledFile = "cancelled";

// What the job does. It may have been handed over twice, when the answer to the first time was
// lost: the one that makes the folder `started` works. A good trainer saves on SIGTERM and exits
// with 130; whoever sends it (a time limit, a more important job) does not say why, unless it was
// `sweep cancel`.
constexpr const char* kBody = R"sh(
mkdir "$submission/started" 2>/dev/null || exit 0
publish "$submission/started/job" "${PBS_JOBID:-${LSB_JOBID:-${SLURM_JOB_ID:-${TS_JOBID:-$JOB_ID}}}}"
IFS=$'\t' read -r run attempt <"$submission/tasks"
folder=$run/attempts/$attempt
[ -e "$submission/cancelled" ] && write_exit 1 cancelled && exit 0
[ -e "$submission/revoked" ] && exit 0

taken_away=
"${trainer[@]}" "$run" "$attempt" >>"$folder/stdout.log" 2>>"$folder/stderr.log" &
child=$!
trap 'taken_away=preempted; kill -TERM $child' TERM INT HUP USR1 USR2 XCPU
await_child
[ $code != 0 ] && [ -e "$submission/cancelled" ] && taken_away=cancelled
if [ $code != 0 ] && [ $taken_away ]; then write_exit $code $taken_away; else write_exit $code; fi
exit $code
)sh";

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// As schedulers give them: "4711", "4711.server", "4711[3]", "ƒA1b". Nothing that a shell would
// take for more than a word, or a program for an option.
bool IsJobName(const std::string& job) {
  constexpr std::string_view kMarks = "._:@+-[]";
  const auto is_part = [&](char c) {
    return IsWordCharacter(c) || static_cast<unsigned char>(c) >= 0x80 ||
           kMarks.find(c) != std::string_view::npos;
  };
  return !job.empty() && job.front() != '-' && std::all_of(job.begin(), job.end(), is_part);
}

// A scheduler's list of jobs: a line a job, its number first, its name somewhere. What follows a
// number without a space, as a server's name, is no part of it.
class JobList {
 public:
  explicit JobList(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line, word; std::getline(lines, line);) {
      std::istringstream words(line);
      if (!(words >> word)) continue;
      numbers_.insert(word);
      numbers_.emplace(word.begin(), std::find_if_not(word.begin(), word.end(), IsWordCharacter));
      do names_.insert(word);
      while (words >> word);
    }
  }

  [[nodiscard]] bool Has(const std::string& number, const std::string& name) const {
    return numbers_.contains(number) || names_.contains(name);
  }

 private:
  std::unordered_set<std::string> numbers_;
  std::unordered_set<std::string> names_;
};

std::string WordLine(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::string Trouble(const std::vector<std::string>& words, const CommandResult& result) {
  if (result.timed_out) return fmt::format("`{}` did not answer in time", WordLine(words));
  return fmt::format("`{}` failed with exit code {}: {}",
                     WordLine(words),
                     result.exit_code.value_or(-1),
                     result.error.empty() ? result.out : result.error);
}

}  // namespace

CommandSystem::CommandSystem(ExecutorSettings settings, std::filesystem::path submissions)
    : settings_(std::move(settings)),
      submissions_(std::move(submissions)),
      answer_timeout_(static_cast<int64_t>(1000 * settings_.answer_timeout_seconds)),
      job_pattern_(settings_.job_pattern) {}

void CommandSystem::Prepare() {
  if (const std::string missing = MissingCommands(settings_); !missing.empty())
    throw Failure(FailureCode::kUsage, missing);
}

size_t CommandSystem::most_at_once() const {
  return kMostAtOnce;
}

// The scheduler's number in what it says of a job.
std::optional<std::string> CommandSystem::JobIn(const std::string& text) const {
  std::smatch match;
  if (!std::regex_search(text, match, job_pattern_)) return std::nullopt;
  const std::string job = match.size() > 1 ? match[1].str() : match[0].str();
  return job.empty() ? std::nullopt : std::optional(job);
}

SubmitAnswer CommandSystem::Submit(const BatchSubmission& submission) {
  using Kind = SubmitAnswer::Kind;
  submission.Write("", std::string(kJobShell) + kBody);
  const std::vector<std::string> words = FillIn(settings_.submit,
                                                SubmitValues(settings_,
                                                             {submission.token(),
                                                              submission.script().string(),
                                                              submission.folder().string(),
                                                              submission.limits().seconds,
                                                              submission.limits().memory_bytes}));
  const CommandResult result = RunCommand(words, answer_timeout_);
  if (!result.ok() && !result.timed_out) {
    // Not said in words that we know: a mistake, a limit, a lost answer? Should it have been taken
    // after all, the second of the two jobs ends at once.
    const bool for_ever = ++refusals_ >= kMostRefusals || result.exit_code == kNotFound;
    return {for_ever ? Kind::kRefused : Kind::kBusy, "", Trouble(words, result)};
  }
  refusals_ = 0;
  if (result.timed_out) return {Kind::kUncertain, "", Trouble(words, result)};
  const std::optional<std::string> job = JobIn(result.out);
  if (!job)
    return {
        Kind::kUncertain, "", fmt::format("`{}` names no job: {}", WordLine(words), result.out)};
  return {Kind::kAccepted, *job, ""};
}

// Empty while it is not known. Written down in the store, which may be somebody else's, and put
// into a command, which may be a shell's.
std::string CommandSystem::JobOf(const BatchSubmission& submission) {
  std::string& job = jobs_[submission.token()];
  if (!job.empty()) return job;
  std::string said;
  const std::filesystem::path said_by_itself = submission.folder() / "started" / "job";
  if (const auto accepted = submission.AcceptedAs()) {
    said = *accepted;
  } else if (std::filesystem::exists(said_by_itself)) {
    said = JobIn(ReadFile(said_by_itself)).value_or("");
  }
  if (IsJobName(said)) job = said;
  return job;
}

std::map<std::string, ListedTask> CommandSystem::List(const std::vector<std::string>& names) {
  using Phase = ListedTask::Phase;
  const CommandResult result = RunCommand(settings_.poll, answer_timeout_);
  if (!result.ok()) throw NoAnswer(Trouble(settings_.poll, result));
  const JobList list(result.out);
  std::map<std::string, ListedTask> listed;
  for (const std::string& name : names) {
    const BatchSubmission submission(submissions_, TokenOf(name));
    const std::string job = JobOf(submission);
    const bool started = std::filesystem::exists(submission.folder() / "started");
    // At work under a number that it does not know itself: only its own exit can say that it ended.
    const bool hides = started && job.empty();
    if (hides || list.Has(job, submission.token())) {
      listed[name] = started ? ListedTask{job, kRunningState, Phase::kRunning, ""}
                             : ListedTask{job, kQueuedState, Phase::kQueued, ""};
    } else if (std::filesystem::exists(submission.folder() / kCancelledFile)) {
      listed[name] = {job, "CANCELLED", Phase::kEnded, "cancelled"};
    }
  }
  return listed;
}

size_t CommandSystem::Cancel(const std::vector<std::string>& names) {
  if (settings_.cancel.empty()) {
    throw Failure(
        FailureCode::kUsage,
        "the command that cancels jobs is taken from a sweep file or a profile, never from "
        "the store: give --sweep SWEEP.json, whose executor has `cancel`");
  }
  size_t cancelled = 0;
  for (const std::string& name : names) {
    const BatchSubmission submission(submissions_, TokenOf(name));
    WriteFileAtomic(submission.folder() / kCancelledFile, "");
    const std::string job = JobOf(submission);
    if (job.empty()) continue;  // should it start, it will find the file
    const std::vector<std::string> words =
        FillIn(settings_.cancel, {{"job", job}, {"name", submission.token()}});
    if (RunCommand(words, answer_timeout_).ok()) ++cancelled;  // else it has ended already
  }
  return cancelled;
}

}  // namespace sweep
