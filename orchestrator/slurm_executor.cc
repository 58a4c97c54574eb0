#include "orchestrator/slurm_executor.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/failure.h"
#include "core/files.h"
#include "orchestrator/subprocess.h"

namespace sweep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kDefaultArraySize = 1001;   // of Slurm
constexpr int64_t kDefaultJobCount = 10000;   // of Slurm
constexpr size_t kMostAtOnce = 5000;          // tasks of ours in the queue
constexpr auto kSlowestRetry = seconds(300);  // after a scheduler that does not answer
constexpr auto kDefaultAnswerTimeout = seconds(60);
// A file system may show a file later to us than Slurm shows the end of the job that wrote it.
constexpr int64_t kListingsUntilEnded = 2;
constexpr int64_t kListingsUntilLost = 3;

std::vector<std::string> SqueueCommand() {
  return {"squeue",
          "--noheader",
          "--array",
          "--states=all",
          fmt::format("--user={}", ::getuid()),
          fmt::format("--format={}", kSqueueFormat)};
}

[[noreturn]] void FailUnreachable(const std::string& command, const CommandResult& result) {
  throw Failure(FailureCode::kSchedulerUnreachable,
                fmt::format("{} {}: {}",
                            command,
                            result.timed_out ? "did not answer in time" : "failed",
                            result.error.empty() ? "is Slurm's controller up? `sinfo` should say so"
                                                 : result.error));
}

}  // namespace

SlurmExecutor::SlurmExecutor(ExecutorSettings settings, std::filesystem::path submissions)
    : settings_(std::move(settings)),
      submissions_(std::move(submissions)),
      poll_every_(std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double>(settings_.poll_every_seconds))),
      answer_timeout_(static_cast<int64_t>(1000 * settings_.answer_timeout_seconds)) {
  const CommandResult config = RunCommand({"scontrol", "show", "config"}, answer_timeout_);
  if (!config.ok()) FailUnreachable("scontrol show config", config);
  const int64_t array_size =
      SlurmConfigValue(config.out, "MaxArraySize").value_or(kDefaultArraySize);
  const int64_t job_count = SlurmConfigValue(config.out, "MaxJobCount").value_or(kDefaultJobCount);
  // Indices go up to MaxArraySize - 1; the queue is shared with others.
  most_in_array_ = static_cast<size_t>(std::max<int64_t>(1, array_size - 1));
  most_at_once_ =
      std::clamp<size_t>(static_cast<size_t>(std::max<int64_t>(2, job_count) / 2), 1, kMostAtOnce);
  if (settings_.slots) most_at_once_ = static_cast<size_t>(*settings_.slots);
  MakeDirectories(submissions_);
}

size_t SlurmExecutor::Room() const {
  if (Clock::now() < next_submission_ || tasks_.size() >= most_at_once_) return 0;
  return most_at_once_ - tasks_.size();
}

AttemptHandle SlurmExecutor::Start(const AttemptJob& job) {
  if (pending_.empty() || pending_.back().size() >= most_in_array_)
    pending_.emplace_back(submissions_);
  const std::string name = pending_.back().Add(job);
  Task& task = tasks_[name];
  task.run_id = job.run_id;
  task.attempt = job.attempt;
  task.run_directory = job.run_directory;
  task.token = pending_.back().token();
  task.since = Clock::now();
  return {"", 0, name, false};
}

void SlurmExecutor::Adopt(const AttemptJob& job, const AttemptHandle& handle) {
  Task& task = tasks_[handle.job];
  task.run_id = job.run_id;
  task.attempt = job.attempt;
  task.run_directory = job.run_directory;
  task.token = handle.job.substr(0, handle.job.rfind('_'));
  task.since = Clock::now();
}

std::vector<AttemptNews> SlurmExecutor::Poll(milliseconds timeout) {
  SubmitPending();
  if (Clock::now() >= next_query_ && !tasks_.empty()) {
    AskQueue();
    TakeInExits();
  }
  // A signal (Ctrl-C) ends the wait early.
  if (news_.empty()) (void)::poll(nullptr, 0, static_cast<int>(timeout.count()));
  return std::exchange(news_, {});
}

void SlurmExecutor::SubmitPending() {
  while (!pending_.empty() && Clock::now() >= next_submission_) {
    const SlurmSubmission submission = pending_.front();
    pending_.erase(pending_.begin());
    Submit(submission);
  }
}

void SlurmExecutor::Submit(const SlurmSubmission& submission) {
  const CommandResult result = RunCommand(submission.Prepare(settings_), answer_timeout_);
  const SbatchAnswer answer = ReadSbatchAnswer(result.exit_code, result.out, result.error);
  switch (answer.kind) {
    case SbatchAnswer::Kind::kAccepted:
      submission.MarkAccepted(answer.job);
      submission_delay_ = {};
      for (size_t i = 0; i < submission.size(); ++i) {
        Task& task = tasks_.at(SlurmTaskName(submission.token(), static_cast<int64_t>(i)));
        task.state = "PENDING";
        task.job = fmt::format("{}_{}", answer.job, i);
        Report(task, AttemptNews::Kind::kQueued);
      }
      return;
    case SbatchAnswer::Kind::kRefused:
      throw Failure(FailureCode::kUsage,
                    fmt::format("Slurm refuses the jobs of this sweep: {} (the settings are those "
                                "of /executor)",
                                answer.message));
    case SbatchAnswer::Kind::kBusy:
      Note("sbatch: " + answer.message + "; trying again");
      pending_.insert(pending_.begin(), submission);
      BackOff(submission_delay_, next_submission_);
      return;
    case SbatchAnswer::Kind::kUncertain:
      Note(fmt::format(
          "sbatch: {}; looking for job {} in the queue", answer.message, submission.token()));
      return;
  }
}

void SlurmExecutor::TakeInExits() {
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    const auto exit = ReadSlurmExit(task->second.run_directory, task->second.attempt);
    if (!exit) {
      ++task;
      continue;
    }
    AttemptNews& end = Report(task->second, AttemptNews::Kind::kEnded);
    end.exit_code = exit->exit_code;
    end.cause = exit->cause;
    task = tasks_.erase(task);
  }
}

void SlurmExecutor::AskQueue() {
  const CommandResult result = RunCommand(SqueueCommand(), answer_timeout_);
  if (!result.ok()) {
    Note(fmt::format("squeue {}; runs go on, waiting for it",
                     result.timed_out ? "does not answer" : "fails: " + result.error));
    BackOff(query_delay_, next_query_);
    return;
  }
  query_delay_ = {};
  next_query_ = Clock::now() + poll_every_;
  TakeInListing(ParseSqueue(result.out));
}

void SlurmExecutor::TakeInListing(const std::map<std::string, SlurmTask>& listed) {
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    const auto found = listed.find(task->first);
    const bool over =
        found != listed.end() ? HasEnded(task->second, found->second) : IsGone(task->second);
    task = over ? tasks_.erase(task) : std::next(task);
  }
}

bool SlurmExecutor::HasEnded(Task& task, const SlurmTask& now) {
  task.listings_without = 0;
  task.job = now.job;
  const SlurmPhase phase = PhaseOf(now);
  if (phase != SlurmPhase::kEnded) task.listings_as_ended = 0;
  switch (phase) {
    case SlurmPhase::kQueued:
      if (task.state != now.state) Report(task, AttemptNews::Kind::kQueued);
      break;
    case SlurmPhase::kRunning:
      if (task.state != now.state) Report(task, AttemptNews::Kind::kRunning);
      break;
    case SlurmPhase::kUnknown:
      if (task.state != now.state)
        Note(fmt::format(
            "Slurm calls job {} '{}', a state this program does not know", now.job, now.state));
      break;
    case SlurmPhase::kEnded:
      if (ReadSlurmExit(task.run_directory, task.attempt)) break;  // it speaks for itself
      if (++task.listings_as_ended < kListingsUntilEnded) break;
      ReportEnd(task, CauseOf(now).empty() ? "lost" : CauseOf(now));
      return true;
  }
  task.state = now.state;
  return false;
}

bool SlurmExecutor::IsGone(Task& task) {
  const bool waits_here =
      std::any_of(pending_.begin(), pending_.end(), [&](const SlurmSubmission& s) {
        return s.token() == task.token;
      });
  if (waits_here || ReadSlurmExit(task.run_directory, task.attempt)) return false;
  if (++task.listings_without < kListingsUntilLost) return false;
  const SlurmSubmission submission(submissions_, task.token);
  const bool was_there = submission.IsAccepted() || !task.state.empty();
  if (!was_there) {
    // An answer may have been lost and the job may come yet: it will find that nobody wants it.
    if (Clock::now() - task.since < answer_timeout_) return false;
    submission.Revoke();
  }
  ReportEnd(task, was_there ? "lost" : "not_submitted");
  return true;
}

AttemptNews& SlurmExecutor::Report(const Task& task, AttemptNews::Kind kind) {
  AttemptNews& news = news_.emplace_back();
  news.run_id = task.run_id;
  news.attempt = task.attempt;
  news.kind = kind;
  news.detail = "slurm job " + (task.job.empty() ? task.token : task.job);
  return news;
}

void SlurmExecutor::ReportEnd(const Task& task, const std::string& cause) {
  Report(task, AttemptNews::Kind::kEnded).cause = cause;
}

void SlurmExecutor::BackOff(Clock::duration& delay, Clock::time_point& next) {
  delay = std::min<Clock::duration>(std::max(2 * delay, poll_every_), kSlowestRetry);
  next = Clock::now() + delay;
}

// The same trouble every cycle is told once.
void SlurmExecutor::Note(const std::string& line) {
  if (line != last_note_) notes_.push_back(line);
  last_note_ = line;
}

std::vector<std::string> SlurmExecutor::TakeNotes() {
  return std::exchange(notes_, {});
}

void SlurmExecutor::Stop(StopMode /*mode*/) {
  std::vector<std::string> names;
  for (const auto& [name, task] : tasks_) names.push_back(name);
  (void)CancelSlurmTasks(names);
}

size_t CancelSlurmTasks(const std::vector<std::string>& names) {
  const CommandResult listing = RunCommand(SqueueCommand(), milliseconds(kDefaultAnswerTimeout));
  if (!listing.ok()) FailUnreachable("squeue", listing);
  const std::map<std::string, SlurmTask> listed = ParseSqueue(listing.out);
  std::vector<std::string> words = {"scancel"};
  for (const std::string& name : names) {
    const auto found = listed.find(name);
    if (found != listed.end() && PhaseOf(found->second) != SlurmPhase::kEnded)
      words.push_back(found->second.job);
  }
  if (words.size() == 1) return 0;
  const CommandResult result = RunCommand(words, milliseconds(kDefaultAnswerTimeout));
  if (!result.ok()) FailUnreachable("scancel", result);
  return words.size() - 1;
}

}  // namespace sweep
