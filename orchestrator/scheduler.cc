#include "orchestrator/scheduler.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <thread>

#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "db/lease.h"
#include "orchestrator/ingest.h"

namespace sweep {
namespace {

constexpr auto kCycle = std::chrono::milliseconds(200);
constexpr auto kProgressEvery = std::chrono::seconds(1);
constexpr const char* kTrainerName = "clip_train";

bool IsExecutable(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

size_t LocalSlots(const ExecutionSettings& execution) {
  if (execution.slots > 0) return static_cast<size_t>(execution.slots);
  const size_t cores = std::max(1U, std::thread::hardware_concurrency());
  return std::max<size_t>(1, cores / static_cast<size_t>(execution.threads_per_run));
}

std::vector<std::string> TrainerCommand(const ExecutionSettings& execution) {
  const std::vector<std::string>& command = execution.trainer_command;
  if (!command.empty() && command != std::vector<std::string>{kTrainerName}) return command;
  std::error_code unreadable;
  const auto beside =
      std::filesystem::read_symlink("/proc/self/exe", unreadable).parent_path() / kTrainerName;
  if (IsExecutable(beside)) return {beside.string()};
  const char* search_path = std::getenv("PATH");
  std::istringstream folders(search_path == nullptr ? "" : search_path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (IsExecutable(std::filesystem::path(folder) / kTrainerName))
      return {folder + "/" + kTrainerName};
  }
  throw Failure(
      FailureCode::kUsage,
      fmt::format(
          "the trainer {} is neither beside sweep ({}) nor on PATH: build it with LibTorch present "
          "(scripts/setup installs it), or name another as trainer.command in the sweep file",
          kTrainerName,
          beside.string()));
}

Scheduler::Scheduler(
    Store& store, const SweepJob& job, RunPlan& plan, Executor& executor, Progress& progress)
    : store_(store), job_(job), plan_(plan), executor_(executor), progress_(progress) {}

SweepOutcome Scheduler::Run(const InterruptGuard& interrupts) {
  while (!plan_.Finished() && interrupts.count() == 0) {
    StartReady();
    TakeInExits(kCycle);
    TakeInProgress();
    progress_.Draw(executor_.running());
  }
  if (interrupts.count() > 0) StopEverything(interrupts);
  outcome_.blocked = plan_.blocked();
  return outcome_;
}

void Scheduler::StartReady() {
  while (executor_.CanStart()) {
    const std::optional<RunWork> work = plan_.TakeReady();
    if (!work) return;
    StartAttempt(*work);
  }
}

// Intent first, then the act, then its confirmation: a crash between any two is mended by recovery.
void Scheduler::StartAttempt(const RunWork& work) {
  const RunRow& run = *work.run;
  const RunDirectory directory = store_.run_directory(run.run_id);
  const std::vector<int64_t> earlier = directory.AttemptNumbers();
  AttemptRequest request;
  request.run_id = run.run_id;
  request.attempt = earlier.empty() ? 1 : earlier.back() + 1;
  request.device = job_.execution.device;
  request.threads = job_.execution.threads_per_run;
  request.checkpoint_every_seconds = job_.execution.checkpoint_every_seconds;
  request.locations = LocationsFor(run);
  request.keep_at = CheckpointsToKeep(run);
  request.evaluations = work.evaluations;

  const RunState state = store_.FindRun(run.run_id)->state;
  if (work.train) {
    StoreTransaction intent(store_);
    if (state != RunState::kPlanned) intent.Transition(run.run_id, RunState::kPlanned, "retried");
    intent.Transition(
        run.run_id, RunState::kSubmitting, fmt::format("attempt {}", request.attempt));
    intent.Commit();
  }
  MakeDirectories(directory.attempt(request.attempt));
  MakeDirectories(directory.evaluations());
  PublishFileOnce(directory.spec(), SpecFileText(run.spec));
  WriteFileAtomic(directory.request(request.attempt), FieldsToJson(request).dump(1) + "\n");

  AttemptJob attempt;
  attempt.run_id = run.run_id;
  attempt.attempt = request.attempt;
  attempt.argv = TrainerCommand(job_.execution);
  attempt.argv.push_back(std::filesystem::absolute(directory.root()).string());
  attempt.argv.push_back(std::to_string(request.attempt));
  attempt.stdout_log = directory.attempt(request.attempt) / "stdout.log";
  attempt.stderr_log = directory.attempt(request.attempt) / "stderr.log";
  const int64_t pid = executor_.Start(attempt);

  StoreTransaction confirmation(store_);
  confirmation.StartAttempt({run.run_id, request.attempt, HostName(), pid}, executor_.name());
  if (work.train)
    confirmation.Transition(run.run_id, RunState::kRunning, fmt::format("process {}", pid));
  confirmation.Commit();
  ++attempts_made_[run.run_id];
  active_[run.run_id] = Active{work, std::chrono::steady_clock::now()};
}

std::map<std::string, std::string> Scheduler::LocationsFor(const RunRow& run) const {
  std::map<std::string, std::string> locations = job_.sweep.locations;
  const StartSpec& start = run.spec.start;
  if (start.run_id.empty()) return locations;
  const RunDirectory parent = store_.run_directory(start.run_id);
  for (const int64_t attempt : parent.AttemptNumbers()) {
    const auto checkpoint = parent.checkpoints(attempt) / CheckpointName(start.samples_seen);
    if (std::filesystem::exists(checkpoint))
      locations[start.run_id] = std::filesystem::absolute(checkpoint).string();
  }
  return locations;
}

std::vector<int64_t> Scheduler::CheckpointsToKeep(const RunRow& run) const {
  std::set<int64_t> samples;
  for (const EvaluationRequest& evaluation : run.evaluations)
    samples.insert(evaluation.samples_seen);
  for (const RunRow& other : job_.sweep.runs) {
    if (other.spec.start.run_id == run.run_id) samples.insert(other.spec.start.samples_seen);
  }
  return {samples.begin(), samples.end()};
}

void Scheduler::TakeInExits(std::chrono::milliseconds wait) {
  for (const AttemptExit& exit : executor_.Poll(wait)) Settle(exit);
}

void Scheduler::Settle(const AttemptExit& exit) {
  const Active active = active_.at(exit.run_id);
  active_.erase(exit.run_id);
  std::vector<std::string> notes;
  StoreTransaction transaction(store_);
  ProcessEnd end{exit.exit_code, exit.signal, stopping_, false};
  const AttemptVerdict verdict =
      CloseAttempt(store_, transaction, exit.run_id, exit.attempt, end, notes);
  transaction.Commit();
  for (const std::string& note : notes) progress_.Note("warning: " + note);

  const RunRow& run = *active.work.run;
  const bool good = verdict.verdict == Verdict::kTrained && verdict.failure_class.empty();
  const bool retry = !good && !stopping_ &&
                     attempts_made_[run.run_id] < job_.execution.max_attempts &&
                     (verdict.worth_retrying || verdict.verdict == Verdict::kInterrupted);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - active.started).count();
  progress_.RunEnded(run, verdict, retry, seconds);
  if (retry) {
    RunWork again = active.work;
    again.train = verdict.verdict != Verdict::kTrained;
    plan_.PutBack(again);
    return;
  }
  if (verdict.verdict == Verdict::kTrained) {
    plan_.Done(run.run_id);
  } else {
    plan_.Failed(run.run_id);
  }
  if (good) {
    ++outcome_.completed;
  } else if (verdict.verdict == Verdict::kDiverged) {
    ++outcome_.diverged;
  } else if (verdict.verdict != Verdict::kInterrupted) {
    ++outcome_.failed;
  }
  if (!good && verdict.verdict != Verdict::kInterrupted) {
    outcome_.problems.push_back(fmt::format("run {} ({} {}): {}: {}",
                                            run.run_id,
                                            run.model,
                                            run.dataset,
                                            verdict.failure_class,
                                            verdict.message));
  }
}

void Scheduler::TakeInProgress() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_progress_ || active_.empty()) return;
  next_progress_ = now + kProgressEvery;
  StoreTransaction transaction(store_);
  for (const auto& [run_id, active] : active_) (void)IngestRun(store_, transaction, run_id);
  transaction.Commit();
  for (const auto& [run_id, active] : active_) {
    if (const auto progress = store_.LatestProgress(run_id))
      progress_.RunAt(*active.work.run, *progress);
  }
}

void Scheduler::StopEverything(const InterruptGuard& interrupts) {
  stopping_ = true;
  outcome_.interrupted = true;
  if (!active_.empty()) {
    progress_.Note(fmt::format("stopping: {} runs save their state (Ctrl-C again to stop at once)",
                               active_.size()));
  }
  executor_.Stop(Executor::StopMode::kCheckpoint);
  bool killed = false;
  while (!active_.empty()) {
    if (interrupts.count() > 1 && !killed) {
      executor_.Stop(Executor::StopMode::kKill);
      killed = true;
    }
    TakeInExits(kCycle);
    progress_.Draw(executor_.running());
  }
}

}  // namespace sweep
