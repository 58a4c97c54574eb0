#include "orchestrator/scheduler.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>

#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "core/provenance.h"
#include "db/lease.h"
#include "orchestrator/ingest.h"
#include "orchestrator/retry_request.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

constexpr auto kCycle = std::chrono::milliseconds(200);
constexpr auto kProgressEvery = std::chrono::seconds(1);
constexpr auto kRequestsEvery = std::chrono::seconds(1);
// A lost node's trainer may still work; the lease of a dead one on NFSv4 runs out after 90 s.
constexpr double kLockWaitSeconds = 120;
constexpr const char* kTrainerName = "clip_train";

// Does `read` find a file as it should be?
template <class Read>
bool IsWhole(const Read& read) {
  try {
    return read();
  } catch (const Failure& failure) {
    if (!IsAboutTheFile(failure)) throw;
    return false;
  }
}

bool HasCompleted(const RunDirectory& directory, const RunRow& run) {
  return IsWhole([&] {
    const auto result = ReadResultOf(directory, run.run_id, run.spec.samples_seen);
    if (result) RequireCheckpoint(directory, *result);
    return result && result->outcome == "completed";
  });
}

bool HasEvaluation(const RunDirectory& directory, const RunRow& run, const std::string& eval_id) {
  return IsWhole([&] {
    (void)ReadEvaluationOf(directory, run.run_id, run.spec.samples_seen, eval_id);
    return true;
  });
}

bool IsExecutable(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::vector<std::string> TrainerCommand(const TrainerSettings& settings) {
  const std::vector<std::string>& command = settings.command;
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
    : store_(store),
      job_(job),
      plan_(plan),
      executor_(executor),
      progress_(progress),
      checkpoints_needed_(CheckpointsNeeded(job.sweep)),
      provenance_({{"program", "sweep"},
                   {"build", BuildProvenance()},
                   {"machine", MachineProvenance()},
                   {"command", CommandLine()}}) {}

SweepOutcome Scheduler::Run(const InterruptGuard& interrupts,
                            const std::function<void(const SweepOutcome&)>& after_news) {
  AdoptOngoing();
  while (!plan_.Finished() && interrupts.count() == 0 && !outcome_.disk_full) {
    TakeInRequests();
    ReleaseDelayed();
    StartReady();
    TakeInNews(kCycle);
    TakeInProgress();
    after_news(outcome_);
    progress_.Draw(executor_.running());
  }
  outcome_.interrupted = interrupts.count() > 0;
  if (outcome_.interrupted || outcome_.disk_full) {
    StopEverything(interrupts);
  } else {
    outcome_.blocked = plan_.blocked();
  }
  return outcome_;
}

// Attempts that an earlier `sweep` handed to a scheduler are still there.
void Scheduler::AdoptOngoing() {
  for (const OpenAttempt& open : store_.OpenAttempts()) {
    const std::optional<RunWork> work = plan_.TakeOngoing(open.run_id);
    if (!work) continue;
    if (open.executor != executor_.name()) {
      throw Failure(
          FailureCode::kStoreHeld,
          fmt::format("attempt {} of run {} is with the executor {} (job {}): run the sweep "
                      "with that executor, or cancel the job first",
                      open.attempt,
                      open.run_id,
                      open.executor,
                      open.job));
    }
    MendInputs(*work, open.attempt);
    executor_.Adopt(JobFor(open.run_id, open.attempt), {open.host, open.pid, open.job});
    active_[open.run_id] = Active{*work, std::chrono::steady_clock::now(), true};
  }
}

// What a job that waits in a queue will read when it starts may have been damaged meanwhile.
void Scheduler::MendInputs(const RunWork& work, int64_t attempt) {
  const RunDirectory directory = store_.run_directory(work.run->run_id);
  const std::vector<std::string> damaged = MoveDamagedInputs(directory, work.run->run_id, attempt);
  if (damaged.empty()) return;
  Warn(damaged);
  Start start{work, RequestFor(work)};
  start.request.attempt = attempt;
  WriteRequests({start});
}

// Left by `sweep retry` while we hold the store.
void Scheduler::TakeInRequests() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_requests_) return;
  next_requests_ = now + kRequestsEvery;
  for (const std::string& run_id : TakeRetryRequests(store_)) {
    if (!plan_.Retry(run_id, store_.FinishedEvaluations())) continue;
    attempts_made_.erase(run_id);
    progress_.Note(fmt::format("run {} is tried again, as `sweep retry` asks", run_id));
  }
}

// All that there is room for: intent first, then the act, then what came of it, each durable before
// the next. A crash between any two is mended by recovery.
void Scheduler::StartReady() {
  std::vector<Start> starts;
  for (size_t room = executor_.Room(); starts.size() < room;) {
    const std::optional<RunWork> work = plan_.TakeReady();
    if (!work) break;
    const Readiness readiness = MakeReady(*work);
    if (readiness == Readiness::kNoRoom) break;
    if (readiness == Readiness::kReady) starts.push_back({*work, RequestFor(*work)});
  }
  if (starts.empty()) return;
  RecordIntents(starts);
  WriteRequests(starts);
  StartAttempts(starts);
}

// A run in whose folder nothing can be read or moved fails alone.
Scheduler::Readiness Scheduler::MakeReady(const RunWork& work) {
  try {
    if (IsDoneAlready(work)) {
      plan_.Done(work.run->run_id);
      ++outcome_.completed;
      return Readiness::kDone;
    }
    ClearFolder(work);
  } catch (const Failure& failure) {
    if (!IsAboutTheFile(failure)) throw;
    GiveUp(work, failure.what());
    return Readiness::kBroken;
  }
  if (executor_.Reserve(work.run->run_id, PredictedMemory(work))) return Readiness::kReady;
  plan_.PutBack(work);  // its turn comes before that of smaller ones
  return Readiness::kNoRoom;
}

void Scheduler::GiveUp(const RunWork& work, const std::string& why) {
  const std::string& run_id = work.run->run_id;
  AttemptVerdict verdict;
  verdict.failure_class = "io";
  verdict.message = why;
  if (work.train) {
    StoreTransaction transaction(store_);
    if (store_.FindRun(run_id)->state != RunState::kPlanned)
      transaction.Transition(run_id, RunState::kPlanned, "retried");
    transaction.Transition(
        run_id, RunState::kFailed, "its folder cannot be used", verdict.failure_class, why);
    transaction.Commit();
  }
  plan_.Failed(run_id);
  Count(*work.run, verdict);
}

// What an attempt that the store lost sight of has left is as good as any: `sweep` was killed
// before it could record the attempt, and the trainer came to its end.
bool Scheduler::IsDoneAlready(const RunWork& work) {
  const std::string& run_id = work.run->run_id;
  const RunDirectory directory = store_.run_directory(run_id);
  if (directory.AttemptNumbers().empty()) return false;
  if (!HasCompleted(directory, *work.run)) return false;
  for (const EvaluationRequest* evaluation : work.evaluations) {
    if (!HasEvaluation(directory, *work.run, evaluation->eval_id)) return false;
  }
  StoreTransaction transaction(store_);
  (void)IngestRun(store_, transaction, run_id);
  if (work.train) transaction.Transition(run_id, RunState::kCompleted, "its files say so");
  transaction.Commit();
  return true;
}

AttemptRequest Scheduler::RequestFor(const RunWork& work) const {
  const RunRow& run = *work.run;
  const std::optional<RunRecord> known = store_.FindRun(run.run_id);
  AttemptRequest request;
  request.run_id = run.run_id;
  request.attempt = store_.run_directory(run.run_id).NextAttempt(known ? known->attempts : 0);
  request.device = job_.trainer.device;
  request.threads = job_.executor.threads_per_run;
  request.processes = job_.executor.processes();
  if (job_.executor.kind == "slurm" && request.processes > 1) request.launcher = "srun";
  request.recompute = job_.trainer.recompute;
  request.sharding = job_.trainer.sharding;
  request.micro_batch = job_.trainer.micro_batch;
  if (const auto smaller = micro_batches_.find(run.run_id); smaller != micro_batches_.end())
    request.micro_batch = smaller->second;
  request.cuda_graphs = job_.trainer.cuda_graphs && !without_graphs_.contains(run.run_id);
  request.data_threads = job_.trainer.data_threads;
  request.checkpoint_every_seconds = job_.trainer.checkpoint_every_seconds;
  // Recovery waits for a trainer that a killed `sweep` left behind, but knows of none that
  // evaluates.
  if (executor_.OutlivesSweep() || !work.train) request.lock_wait_seconds = kLockWaitSeconds;
  request.locations = LocationsFor(run);
  const std::set<int64_t>& needed = checkpoints_needed_.at(run.run_id);
  request.keep_at = {needed.begin(), needed.end()};
  for (const EvaluationRequest* evaluation : work.evaluations)
    request.evaluations.push_back(*evaluation);
  return request;
}

AttemptJob Scheduler::JobFor(const std::string& run_id, int64_t attempt) const {
  const RunDirectory directory = store_.run_directory(run_id);
  AttemptJob job;
  job.run_id = run_id;
  job.attempt = attempt;
  job.run_directory = std::filesystem::absolute(directory.root());
  job.argv = TrainerCommand(job_.trainer);
  job.argv.push_back(job.run_directory.string());
  job.argv.push_back(std::to_string(attempt));
  job.stdout_log = directory.attempt(attempt) / "stdout.log";
  job.stderr_log = directory.attempt(attempt) / "stderr.log";
  if (const auto predicted = job_.predictions.find(run_id); predicted != job_.predictions.end())
    job.needs = {predicted->second.most_seconds, predicted->second.memory_bytes};
  return job;
}

void Scheduler::RecordIntents(const std::vector<Start>& starts) {
  StoreTransaction intents(store_);
  for (const auto& [work, request] : starts) {
    if (!work.train) continue;
    const std::string& run_id = work.run->run_id;
    if (store_.FindRun(run_id)->state != RunState::kPlanned)
      intents.Transition(run_id, RunState::kPlanned, "retried");
    intents.Transition(run_id, RunState::kSubmitting, fmt::format("attempt {}", request.attempt));
  }
  intents.Commit();
}

// Before the intents are recorded, which say that a run that diverged is tried again.
void Scheduler::ClearFolder(const RunWork& work) {
  store_.RequireHeld();
  const RunRow& run = *work.run;
  ExpectedFolder expected{run.run_id, run.spec.samples_seen, work.train, false};
  expected.again = work.train && store_.HasBeen(run.run_id, RunState::kDiverged);
  for (const EvaluationRequest* evaluation : work.evaluations)
    expected.evaluations.push_back(evaluation->eval_id);
  Warn(ClearTheWay(store_.run_directory(run.run_id), expected));
}

void Scheduler::WriteRequests(const std::vector<Start>& starts) {
  store_.RequireHeld();
  DurableBatch batch;
  for (const auto& [work, request] : starts) {
    const RunDirectory directory = store_.run_directory(work.run->run_id);
    batch.Make(directory.attempt(request.attempt));
    batch.Make(directory.evaluations());
    batch.Publish(directory.spec(), SpecFileText(work.run->spec));
    batch.Publish(directory.request(request.attempt), FieldsToJson(request).dump(1) + "\n");
  }
  batch.Commit();
}

// Jobs of a scheduler go on without us, so they are recorded at once; a process when it has one.
void Scheduler::StartAttempts(const std::vector<Start>& starts) {
  store_.RequireHeld();
  std::vector<std::pair<const Start*, AttemptHandle>> jobs;
  for (const Start& start : starts) {
    const std::string& run_id = start.work.run->run_id;
    const AttemptHandle handle = executor_.Start(JobFor(run_id, start.request.attempt));
    ++attempts_made_[run_id];
    active_[run_id] = Active{start.work, std::chrono::steady_clock::now(), !handle.job.empty()};
    if (!handle.job.empty()) jobs.emplace_back(&start, handle);
  }
  if (jobs.empty()) return;
  StoreTransaction confirmation(store_);
  for (const auto& [start, handle] : jobs)
    RecordAttempt(confirmation, start->work, start->request.attempt, handle);
  confirmation.Commit();
}

void Scheduler::RecordAttempt(StoreTransaction& transaction,
                              const RunWork& work,
                              int64_t attempt,
                              const AttemptHandle& handle) {
  transaction.StartAttempt({work.run->run_id,
                            attempt,
                            executor_.name(),
                            handle.host,
                            handle.pid,
                            handle.job,
                            PredictedSeconds(work),
                            provenance_});
}

std::optional<double> Scheduler::PredictedSeconds(const RunWork& work) const {
  const auto predicted = job_.predictions.find(work.run->run_id);
  if (!work.train || predicted == job_.predictions.end()) return std::nullopt;
  return predicted->second.seconds;
}

// Of an evaluation alone, which needs less than training, nothing is known.
double Scheduler::PredictedMemory(const RunWork& work) const {
  const auto predicted = job_.predictions.find(work.run->run_id);
  return predicted == job_.predictions.end() ? 0 : predicted->second.memory_bytes;
}

std::map<std::string, std::string> Scheduler::LocationsFor(const RunRow& run) const {
  std::map<std::string, std::string> locations = job_.sweep.locations;
  const StartSpec& start = run.spec.start;
  if (start.run_id.empty()) return locations;
  const RunDirectory parent = store_.run_directory(start.run_id);
  for (const int64_t attempt : parent.AttemptNumbers()) {
    const auto checkpoint = parent.checkpoints(attempt) / CheckpointName(start.samples_seen);
    if (IsTaken(checkpoint))
      locations[start.run_id] = std::filesystem::absolute(checkpoint).string();
  }
  return locations;
}

// Everything that one look at the executor brings, in one transaction.
void Scheduler::TakeInNews(std::chrono::milliseconds wait) {
  const std::vector<AttemptNews> all = executor_.Poll(wait);
  std::vector<std::pair<AttemptNews, AttemptVerdict>> ends;
  std::vector<std::string> warnings;
  if (!all.empty()) {
    StoreTransaction transaction(store_);
    for (const AttemptNews& news : all) {
      switch (news.kind) {
        case AttemptNews::Kind::kEnded: {
          const ProcessEnd end{news.exit_code, news.signal, news.cause, stopping_, false};
          const auto& asked = active_.at(news.run_id).work.evaluations;
          ends.emplace_back(
              news,
              CloseAttempt(store_, transaction, news.run_id, news.attempt, end, asked, warnings));
          break;
        }
        case AttemptNews::Kind::kDropped:
          Drop(transaction, news);
          break;
        case AttemptNews::Kind::kQueued:
        case AttemptNews::Kind::kRunning:
          Move(transaction, news);
          break;
      }
    }
    transaction.Commit();
  }
  Warn(warnings);
  for (const auto& [news, verdict] : ends) Settle(news, verdict);
  for (const std::string& note : executor_.TakeNotes()) progress_.Note(note);
}

void Scheduler::Move(StoreTransaction& transaction, const AttemptNews& news) {
  Active& active = active_.at(news.run_id);
  if (!active.recorded) {
    RecordAttempt(transaction, active.work, news.attempt, news.handle);
    active.recorded = true;
    active.started = std::chrono::steady_clock::now();
  }
  const RunState now = store_.FindRun(news.run_id)->state;
  const RunState to =
      news.kind == AttemptNews::Kind::kQueued ? RunState::kQueued : RunState::kRunning;
  // Not of a run that is trained already and is only evaluated, or was called diverged.
  if (now == RunState::kCompleted || !active.work.train) return;
  if (now == to && news.waits_for.empty()) return;
  transaction.Transition(news.run_id, to, news.detail);
}

void Scheduler::Drop(StoreTransaction& transaction, const AttemptNews& news) {
  const RunWork work = active_.at(news.run_id).work;
  if (work.train)
    transaction.Transition(news.run_id, RunState::kPlanned, "sweep stopped before it started");
  active_.erase(news.run_id);
  --attempts_made_[news.run_id];
  plan_.PutBack(work);
}

// What the end of an attempt, which is in the store already, means for the plan.
void Scheduler::Settle(const AttemptNews& news, const AttemptVerdict& verdict) {
  const Active active = active_.at(news.run_id);
  active_.erase(news.run_id);
  const RunRow& run = *active.work.run;
  if (verdict.disk_full) outcome_.disk_full = true;
  if (!verdict.counts) --attempts_made_[run.run_id];
  const bool retry = IsWorthRetrying(run, verdict);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - active.started).count();
  progress_.RunEnded(run, verdict, retry, seconds);
  if (retry) {
    RunWork again = active.work;
    again.train = verdict.verdict != Verdict::kTrained;
    TryAgain(again, verdict);
    return;
  }
  if (verdict.verdict == Verdict::kTrained) {
    plan_.Done(run.run_id);
  } else {
    plan_.Failed(run.run_id);
  }
  Count(run, verdict);
}

// What failed is given time to pass, more each time; what was only interrupted is not.
void Scheduler::TryAgain(const RunWork& work, const AttemptVerdict& verdict) {
  constexpr double kFirstDelay = 1, kGrowth = 4, kLongestDelay = 60;  // seconds
  const std::string& run_id = work.run->run_id;
  if (store_.FindRun(run_id)->state == RunState::kFailed) {
    StoreTransaction transaction(store_);
    transaction.Transition(run_id,
                           RunState::kPlanned,
                           fmt::format("to be tried again after {}", verdict.failure_class));
    transaction.Commit();
  }
  const auto earlier = static_cast<double>(std::max<int64_t>(0, attempts_made_[run_id] - 1));
  const double delay =
      verdict.counts ? std::min(kLongestDelay, kFirstDelay * std::pow(kGrowth, earlier)) : 0;
  delayed_.emplace(std::chrono::steady_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(1000 * delay)),
                   work);
}

void Scheduler::ReleaseDelayed() {
  const auto due = delayed_.upper_bound(std::chrono::steady_clock::now());
  for (auto work = delayed_.begin(); work != due; ++work) plan_.PutBack(work->second);
  delayed_.erase(delayed_.begin(), due);
}

// What clip_train asks before it records a step, which has memory of its own beside what the rest
// of the run needs.
bool Scheduler::MayRecordSteps(const RunRow& run) const {
  const TrainerSettings& trainer = job_.trainer;
  const bool whole = trainer.micro_batch == 0 || trainer.micro_batch >= run.spec.global_batch_size;
  return trainer.cuda_graphs && trainer.device != "cpu" && job_.executor.processes() == 1 &&
         whole && run.spec.precision != "fp16";
}

bool Scheduler::IsWorthRetrying(const RunRow& run, const AttemptVerdict& verdict) {
  if (stopping_ || outcome_.disk_full) return false;
  const bool out_of_memory = verdict.failure_class == "out_of_memory";
  if (out_of_memory && MayRecordSteps(run) && without_graphs_.insert(run.run_id).second)
    return true;
  // The loss is exact in any number of pieces, so the run is the same with less memory.
  if (out_of_memory && !micro_batches_.contains(run.run_id)) {
    constexpr int64_t kPieces = 4;
    const int64_t whole = run.spec.global_batch_size / job_.executor.processes();
    const int64_t tried = job_.trainer.micro_batch > 0 ? job_.trainer.micro_batch : whole;
    micro_batches_[run.run_id] = std::max<int64_t>(1, std::min(tried, whole) / kPieces);
    return true;
  }
  return attempts_made_[run.run_id] < job_.executor.max_attempts &&
         (verdict.worth_retrying || verdict.verdict == Verdict::kInterrupted);
}

void Scheduler::Count(const RunRow& run, const AttemptVerdict& verdict) {
  if (verdict.disk_full || (verdict.verdict == Verdict::kInterrupted && stopping_)) return;
  if (verdict.verdict == Verdict::kTrained && verdict.failure_class.empty()) {
    ++outcome_.completed;
    return;
  }
  if (verdict.verdict == Verdict::kDiverged) {
    ++outcome_.diverged;
  } else {
    ++outcome_.failed;
  }
  const bool interrupted = verdict.verdict == Verdict::kInterrupted;
  const std::string reason = interrupted && verdict.message.empty()
                                 ? "again and again before its first checkpoint"
                                 : verdict.message;
  outcome_.problems.push_back(fmt::format("run {} ({} {}): {}: {}",
                                          run.run_id,
                                          run.model,
                                          run.dataset,
                                          interrupted ? "interrupted" : verdict.failure_class,
                                          reason));
}

void Scheduler::TakeInProgress() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_progress_ || active_.empty()) return;
  next_progress_ = now + kProgressEvery;
  std::vector<std::string> warnings;
  StoreTransaction transaction(store_);
  for (const auto& [run_id, active] : active_) {
    if (!active.recorded) continue;
    // Files that are not whole may still be in the making.
    const IngestedRun ingested = IngestRun(store_, transaction, run_id, EventsTaken::kSome);
    warnings.insert(warnings.end(), ingested.bad_events.begin(), ingested.bad_events.end());
  }
  transaction.Commit();
  Warn(warnings);
  for (const auto& [run_id, active] : active_) {
    if (const auto progress = store_.LatestProgress(run_id))
      progress_.RunAt(*active.work.run, *progress);
  }
}

void Scheduler::Warn(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    if (warned_.insert(warning).second) progress_.Note("warning: " + warning);
  }
}

void Scheduler::StopEverything(const InterruptGuard& interrupts) {
  stopping_ = true;
  if (executor_.OutlivesSweep()) {
    progress_.Note(
        fmt::format("{} attempts stay with {}: the same command watches them again, "
                    "`sweep cancel` ends them",
                    active_.size(),
                    executor_.name()));
    return;
  }
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
    TakeInNews(kCycle);
    progress_.Draw(executor_.running());
  }
}

}  // namespace sweep
