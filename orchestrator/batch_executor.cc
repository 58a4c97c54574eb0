#include "orchestrator/batch_executor.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kSlowestRetry = seconds(300);  // after a scheduler that does not answer
// Ctrl-C and news are not kept waiting for longer by a scheduler that takes jobs one by one.
constexpr auto kSubmitFor = seconds(2);
// A file system may show a file later to us than Slurm shows the end of the job that wrote it.
constexpr int64_t kListingsUntilEnded = 2;
constexpr int64_t kListingsUntilLost = 3;
constexpr const char* kAcceptedState = "PENDING";

// By a signal, of which its scheduler may know the reason: a full memory.
bool WasKilled(const BatchExit& exit) {
  constexpr int kSignalled = 128;  // of a shell
  const bool saved = exit.exit_code == static_cast<int>(FailureCode::kInterrupted);
  return exit.cause.empty() && exit.exit_code > kSignalled && !saved;
}

std::unique_ptr<BatchSystem> Prepared(std::unique_ptr<BatchSystem> system) {
  system->Prepare();
  return system;
}

}  // namespace

BatchExecutor::BatchExecutor(std::unique_ptr<BatchSystem> system,
                             const ExecutorSettings& settings,
                             std::filesystem::path submissions)
    : system_(Prepared(std::move(system))),
      settings_(settings),
      submissions_(std::move(submissions)),
      most_at_once_(settings.slots ? static_cast<size_t>(*settings.slots)
                                   : system_->most_at_once()),
      most_in_submission_(system_->most_in_submission()),
      poll_every_(std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double>(settings.poll_every_seconds))),
      answer_timeout_(static_cast<int64_t>(1000 * settings.answer_timeout_seconds)) {
  RequirePathForJobs(std::filesystem::absolute(submissions_));
  MakeDirectories(submissions_);
}

size_t BatchExecutor::Room() const {
  if (Clock::now() < next_submission_ || tasks_.size() >= most_at_once_) return 0;
  return most_at_once_ - tasks_.size();
}

AttemptHandle BatchExecutor::Start(const AttemptJob& job) {
  BatchSubmission& submission = PendingOf(LimitsOf(settings_, job.needs));
  const std::string name = submission.Add(job);
  Task& task = tasks_[name];
  task.run_id = job.run_id;
  task.attempt = job.attempt;
  task.run_directory = job.run_directory;
  task.token = submission.token();
  task.since = Clock::now();
  return {"", 0, name};
}

BatchSubmission& BatchExecutor::PendingOf(const JobLimits& limits) {
  const auto with_room =
      std::find_if(pending_.begin(), pending_.end(), [&](const BatchSubmission& submission) {
        return submission.limits() == limits && submission.size() < most_in_submission_;
      });
  return with_room != pending_.end() ? *with_room : pending_.emplace_back(submissions_, limits);
}

void BatchExecutor::Adopt(const AttemptJob& job, const AttemptHandle& handle) {
  Task& task = tasks_[handle.job];
  task.run_id = job.run_id;
  task.attempt = job.attempt;
  task.run_directory = job.run_directory;
  task.token = TokenOf(handle.job);
  task.since = Clock::now();
}

std::vector<AttemptNews> BatchExecutor::Poll(milliseconds timeout) {
  SubmitPending();
  if (Clock::now() >= next_query_ && !tasks_.empty()) {
    AskQueue();
    TakeInExits();
  }
  // A signal (Ctrl-C) ends the wait early.
  if (news_.empty()) (void)::poll(nullptr, 0, static_cast<int>(timeout.count()));
  return std::exchange(news_, {});
}

void BatchExecutor::SubmitPending() {
  const Clock::time_point enough = Clock::now() + kSubmitFor;
  while (!pending_.empty() && Clock::now() >= next_submission_ && Clock::now() < enough) {
    const BatchSubmission submission = pending_.front();
    pending_.erase(pending_.begin());
    Submit(submission);
  }
}

void BatchExecutor::Submit(BatchSubmission submission) {
  const SubmitAnswer answer = system_->Submit(submission);
  switch (answer.kind) {
    case SubmitAnswer::Kind::kAccepted:
      Accepted(submission, answer.job);
      return;
    case SubmitAnswer::Kind::kTooMany:
      SubmitFewer(std::move(submission), answer.message);
      return;
    case SubmitAnswer::Kind::kRefused:
      throw Failure(FailureCode::kUsage,
                    fmt::format("the scheduler refuses the jobs of this sweep: {} (the settings "
                                "are those of /executor)",
                                answer.message));
    case SubmitAnswer::Kind::kBusy:
      SubmitLater(submission, answer.message);
      return;
    case SubmitAnswer::Kind::kUncertain:
      Note(fmt::format("{}; looking for job {} in the queue", answer.message, submission.token()));
      return;
  }
}

void BatchExecutor::Accepted(const BatchSubmission& submission, const std::string& job) {
  submission.MarkAccepted(job);
  submission_delay_ = {};
  for (size_t i = 0; i < submission.size(); ++i) {
    Task& task = tasks_.at(BatchTaskName(submission.token(), static_cast<int64_t>(i)));
    task.state = kAcceptedState;
    task.job = job;
    Report(task, AttemptNews::Kind::kQueued);
  }
}

// Over a limit that only the refusal tells of. What is in the queue already is what the site takes;
// with nothing there half as many may fit.
void BatchExecutor::SubmitFewer(BatchSubmission submission, const std::string& message) {
  const auto in_queue = static_cast<size_t>(std::count_if(
      tasks_.begin(), tasks_.end(), [](const auto& task) { return !task.second.state.empty(); }));
  if (in_queue > 0) {
    Note(fmt::format("{}; keeping to {} jobs at once", message, in_queue));
    most_at_once_ = in_queue;
    GiveBack(submission, 0);
    BackOff(submission_delay_, next_submission_);
  } else if (submission.size() > 1) {
    most_in_submission_ = std::min(most_in_submission_, submission.size() / 2);
    Note(fmt::format("{}; keeping to {} jobs a submission", message, most_in_submission_));
    GiveBack(submission, most_in_submission_);
    submission.Shorten(most_in_submission_);
    pending_.insert(pending_.begin(), std::move(submission));
  } else {
    SubmitLater(submission, message + " (perhaps by other jobs of yours)");
  }
}

// Its tasks from this one on were certainly not submitted.
void BatchExecutor::GiveBack(const BatchSubmission& submission, size_t first) {
  for (size_t i = first; i < submission.size(); ++i) {
    const auto task = tasks_.find(BatchTaskName(submission.token(), static_cast<int64_t>(i)));
    ReportEnd(task->second, "not_submitted");
    tasks_.erase(task);
  }
}

void BatchExecutor::SubmitLater(const BatchSubmission& submission, const std::string& message) {
  Note(message + "; trying again");
  pending_.insert(pending_.begin(), submission);
  BackOff(submission_delay_, next_submission_);
}

void BatchExecutor::TakeInExits() {
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    const auto exit = ReadBatchExit(task->second.run_directory, task->second.attempt);
    if (!exit || (WasKilled(*exit) && task->second.listings_as_ended == 0 &&
                  task->second.listings_without == 0)) {
      ++task;
      continue;
    }
    AttemptNews& end = Report(task->second, AttemptNews::Kind::kEnded);
    end.exit_code = exit->exit_code;
    end.cause = exit->cause.empty() ? task->second.cause : exit->cause;
    task = tasks_.erase(task);
  }
}

void BatchExecutor::AskQueue() {
  std::vector<std::string> names;
  for (const auto& [name, task] : tasks_) names.push_back(name);
  try {
    TakeInListing(system_->List(names));
  } catch (const BatchSystem::NoAnswer& silence) {
    Note(fmt::format("{}; runs go on, waiting for it", silence.what()));
    BackOff(query_delay_, next_query_);
    return;
  }
  query_delay_ = {};
  next_query_ = Clock::now() + poll_every_;
}

void BatchExecutor::TakeInListing(const std::map<std::string, ListedTask>& listed) {
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    const auto found = listed.find(task->first);
    const bool over =
        found != listed.end() ? HasEnded(task->second, found->second) : IsGone(task->second);
    task = over ? tasks_.erase(task) : std::next(task);
  }
}

bool BatchExecutor::HasEnded(Task& task, const ListedTask& now) {
  using Phase = ListedTask::Phase;
  task.listings_without = 0;
  task.job = now.job;
  if (now.phase != Phase::kEnded) task.listings_as_ended = 0;
  switch (now.phase) {
    case Phase::kQueued:
      if (task.state != now.state || task.waits_for != now.waits_for) ReportQueued(task, now);
      break;
    case Phase::kRunning:
      if (task.state != now.state) Report(task, AttemptNews::Kind::kRunning);
      break;
    case Phase::kUnknown:
      if (task.state != now.state)
        Note(fmt::format("{} calls job {} '{}', a state this program does not know",
                         name(),
                         now.job,
                         now.state));
      break;
    case Phase::kEnded:
      ++task.listings_as_ended;
      task.cause = now.cause;
      if (ReadBatchExit(task.run_directory, task.attempt)) break;  // it speaks for itself
      if (task.listings_as_ended < kListingsUntilEnded) break;
      ReportEnd(task, now.cause.empty() ? "lost" : now.cause);
      return true;
  }
  task.state = now.state;
  return false;
}

bool BatchExecutor::IsGone(Task& task) {
  const bool waits_here =
      std::any_of(pending_.begin(), pending_.end(), [&](const BatchSubmission& s) {
        return s.token() == task.token;
      });
  if (waits_here) return false;
  ++task.listings_without;
  if (ReadBatchExit(task.run_directory, task.attempt)) return false;
  if (task.listings_without < kListingsUntilLost) return false;
  const BatchSubmission submission(submissions_, task.token);
  const bool was_there = submission.AcceptedAs().has_value() || !task.state.empty();
  if (!was_there) {
    // An answer may have been lost and the job may come yet: it will find that nobody wants it.
    if (Clock::now() - task.since < answer_timeout_) return false;
    submission.Revoke();
  }
  ReportEnd(task, was_there ? "lost" : "not_submitted");
  return true;
}

void BatchExecutor::ReportQueued(Task& task, const ListedTask& now) {
  task.waits_for = now.waits_for;
  AttemptNews& news = Report(task, AttemptNews::Kind::kQueued);
  news.waits_for = now.waits_for;
  if (now.waits_for.empty()) return;
  news.detail += fmt::format(", which waits: {}", now.waits_for);
  Note(fmt::format("{} keeps jobs waiting: {}", name(), now.waits_for));
}

AttemptNews& BatchExecutor::Report(const Task& task, AttemptNews::Kind kind) {
  AttemptNews& news = news_.emplace_back();
  news.run_id = task.run_id;
  news.attempt = task.attempt;
  news.kind = kind;
  news.detail = fmt::format("{} job {}", name(), task.job.empty() ? task.token : task.job);
  return news;
}

void BatchExecutor::ReportEnd(const Task& task, const std::string& cause) {
  Report(task, AttemptNews::Kind::kEnded).cause = cause;
}

void BatchExecutor::BackOff(Clock::duration& delay, Clock::time_point& next) {
  delay = std::min<Clock::duration>(std::max(2 * delay, poll_every_), kSlowestRetry);
  next = Clock::now() + delay;
}

// The same trouble every cycle is told once.
void BatchExecutor::Note(const std::string& line) {
  if (line != last_note_) notes_.push_back(line);
  last_note_ = line;
}

std::vector<std::string> BatchExecutor::TakeNotes() {
  return std::exchange(notes_, {});
}

void BatchExecutor::Stop(StopMode /*mode*/) {
  std::vector<std::string> names;
  for (const auto& [name, task] : tasks_) names.push_back(name);
  (void)system_->Cancel(names);
}

}  // namespace sweep
