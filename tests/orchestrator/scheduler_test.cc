#include "orchestrator/scheduler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "core/event_log.h"
#include "core/failure.h"
#include "orchestrator/recovery.h"
#include "orchestrator/retry_request.h"
#include "tests/support/fake_executor.h"
#include "tests/support/sample_rows.h"
#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

EvaluationRequest ItemsEvaluation(const RunRow& run, int64_t size = 1000) {
  EvaluationRequest request;
  request.spec = SampleEvaluationSpec();
  request.spec.size = size;
  request.eval_dataset = "items";
  request.samples_seen = run.spec.samples_seen;
  request.eval_id = EvaluationId(run.run_id, request.samples_seen, request.spec);
  return request;
}

RunRow RunWithEvaluation(int64_t seed) {
  RunRow run = SampleRunRow(seed);
  run.evaluations = {ItemsEvaluation(run)};
  return run;
}

RunRow ChildOf(const RunRow& parent) {
  RunRow child = SampleRunRow(77);
  child.spec.start.run_id = parent.run_id;
  child.spec.start.samples_seen = parent.spec.samples_seen;
  child.run_id = RunId(child.spec);
  child.compute_gmacs += parent.compute_gmacs;
  return child;
}

// One `sweep run` of `runs` in the store at `root` with the given fake trainer.
struct Invocation {
  SweepOutcome outcome;
  std::vector<std::string> started;
};

Invocation RunOnce(const std::filesystem::path& root,
                   const std::vector<RunRow>& runs,
                   const FakeExecutor::Script& script,
                   bool retry_failed = false,
                   const std::string& cause = "",
                   const std::function<void(const AttemptJob& job)>& on_start = {},
                   bool cuda_graphs = false) {
  std::vector<std::string> notes;
  const auto store = OpenForWriting(root, notes);
  SweepJob job;
  static_cast<SweepRow&>(job.sweep) = SampleSweepRow(runs);
  job.trainer.command = {"fake"};
  job.trainer.sharding = "weights";
  job.trainer.cuda_graphs = cuda_graphs;
  AddSweepToStore(*store, job.sweep);
  RunPlan plan(
      job.sweep, store->States(job.sweep.sweep_id), store->FinishedEvaluations(), retry_failed);
  FakeExecutor executor(2, script);
  executor.cause = cause;
  executor.on_start = on_start;
  std::FILE* quiet = std::fopen("/dev/null", "w");
  Invocation invocation;
  {
    Progress progress(quiet, plan.total_runs(), plan.already_done(), 1.0);
    const InterruptGuard interrupts;
    invocation.outcome = Scheduler(*store, job, plan, executor, progress).Run(interrupts);
  }
  std::fclose(quiet);
  invocation.started = executor.started;
  return invocation;
}

RunState StateOf(const std::filesystem::path& root, const RunRow& run) {
  return Store(root, Store::Access::kRead).FindRun(run.run_id)->state;
}

int Crash(const RunDirectory& /*directory*/, const AttemptRequest& /*request*/) {
  return 128 + SIGSEGV;
}

int FailAlways(const RunDirectory& /*directory*/, const AttemptRequest& /*request*/) {
  return 1;
}

int SayBadSpec(const RunDirectory& directory, const AttemptRequest& request) {
  std::ofstream(directory.events(request.attempt)) << SealEventLine(
      {{"seq", 1}, {"type", "failure"}, {"class", "bad_spec"}, {"message", "width is odd"}});
  return 2;
}

}  // namespace

TEST_CASE("A sweep runs every run once and then has nothing to do") {
  const TemporaryDirectory directory;
  const std::vector<RunRow> runs = {
      RunWithEvaluation(0), RunWithEvaluation(1), RunWithEvaluation(2)};
  const Invocation first = RunOnce(directory.path(), runs, TrainWell);
  CHECK(first.outcome.completed == 3);
  CHECK(StateOf(directory.path(), runs[1]) == RunState::kCompleted);
  CHECK(Store(directory.path(), Store::Access::kRead).Points().rows.size() == 3);
  CHECK(RunOnce(directory.path(), runs, TrainWell).started.empty());
}

TEST_CASE("Adding a run to a sweep runs only the new one") {
  const TemporaryDirectory directory;
  RunOnce(directory.path(), {RunWithEvaluation(0)}, TrainWell);
  const RunRow added = RunWithEvaluation(1);
  CHECK(RunOnce(directory.path(), {RunWithEvaluation(0), added}, TrainWell).started ==
        std::vector<std::string>{added.run_id});
}

TEST_CASE("Adding an evaluation to a finished run evaluates its checkpoint and trains nothing") {
  const TemporaryDirectory directory;
  RunRow run = RunWithEvaluation(0);
  RunOnce(directory.path(), {run}, TrainWell);
  run.evaluations.push_back(ItemsEvaluation(run, 5000));
  std::vector<std::string> asked;
  RunOnce(directory.path(), {run}, [&](const RunDirectory& where, const AttemptRequest& request) {
    for (const auto& evaluation : request.evaluations) asked.push_back(evaluation.eval_id);
    return TrainWell(where, request);
  });
  CHECK(asked == std::vector<std::string>{run.evaluations[1].eval_id});
  const Store store(directory.path(), Store::Access::kRead);
  CHECK(store.FindRun(run.run_id)->attempts == 2);
  CHECK(store.Query("SELECT count(*) FROM transitions WHERE to_state = 'running'").rows[0][0] ==
        "1");
}

TEST_CASE("A run that was done by an attempt the store lost sight of is not started again") {
  const TemporaryDirectory directory;
  const RunRow run = RunWithEvaluation(0);
  AttemptRequest request;
  request.run_id = run.run_id;
  request.attempt = 1;
  request.evaluations = run.evaluations;
  const RunDirectory files(directory.path() / "runs" / run.run_id);
  MakeDirectories(files.attempt(1));
  MakeDirectories(files.evaluations());
  PublishFileOnce(files.spec(), SpecFileText(run.spec));
  TrainWell(files, request);
  const Invocation invocation = RunOnce(directory.path(), {run}, TrainWell);
  CHECK(invocation.started.empty());
  CHECK(invocation.outcome.completed == 1);
  CHECK(StateOf(directory.path(), run) == RunState::kCompleted);
  CHECK(Store(directory.path(), Store::Access::kRead).Points().rows.size() == 1);
}

TEST_CASE("What a job in a queue is to read is written again where it was damaged meanwhile") {
  const TemporaryDirectory directory;
  const RunRow run = RunWithEvaluation(0);
  const RunDirectory files(directory.path() / "runs" / run.run_id);
  {
    std::vector<std::string> notes;
    const auto store = OpenForWriting(directory.path(), notes);
    SweepJob job;
    static_cast<SweepRow&>(job.sweep) = SampleSweepRow({run});
    AddSweepToStore(*store, job.sweep);
    StoreTransaction transaction(*store);
    transaction.Transition(run.run_id, RunState::kSubmitting, "attempt 1");
    transaction.StartAttempt({run.run_id, 1, "fake", "", 0, "7"});
    transaction.Commit();
  }
  MakeDirectories(files.attempt(1));
  MakeDirectories(files.evaluations());
  std::ofstream(files.spec()) << R"({"schema":1})";
  std::ofstream(files.request(1)) << R"({"schema":"sweep.att)";
  CHECK(RunOnce(directory.path(), {run}, TrainWell).outcome.completed == 1);
  CHECK(std::filesystem::exists(files.spec().string() + ".damaged"));
  CHECK(std::filesystem::exists(files.request(1).string() + ".damaged"));
  CHECK(ReadAttemptRequest(files, 1).evaluations.size() == 1);
}

TEST_CASE("A diverged run that is tried again trains again") {
  const TemporaryDirectory directory;
  const RunRow run = RunWithEvaluation(0);
  const auto diverge = [](const RunDirectory& where, const AttemptRequest& request) {
    RunResult result;
    result.run_id = request.run_id;
    result.attempt = request.attempt;
    result.outcome = "diverged";
    PublishFileOnce(where.result(), ResultFileText(result));
    return 0;
  };
  CHECK(RunOnce(directory.path(), {run}, diverge).outcome.diverged == 1);
  CHECK(RunOnce(directory.path(), {run}, TrainWell, /*retry_failed=*/true).outcome.completed == 1);
  const RunDirectory files(directory.path() / "runs" / run.run_id);
  CHECK(std::filesystem::exists(files.result().string() + ".diverged"));
}

TEST_CASE("A run that another trainer holds has not failed, and is done when that one is gone") {
  const TemporaryDirectory directory;
  const RunRow run = RunWithEvaluation(0);
  const auto held = [](const RunDirectory&, const AttemptRequest&) {
    return static_cast<int>(FailureCode::kStoreHeld);
  };
  const Invocation invocation = RunOnce(directory.path(), {run}, held);
  CHECK(invocation.started.size() == 2);
  REQUIRE(invocation.outcome.problems.size() == 1);
  CHECK_THAT(invocation.outcome.problems[0], Catch::Contains("another trainer is at work on it"));
  CHECK(StateOf(directory.path(), run) == RunState::kPlanned);
  CHECK(RunOnce(directory.path(), {run}, TrainWell).outcome.completed == 1);
}

TEST_CASE("A run that runs out of memory is tried once with smaller micro-batches") {
  const TemporaryDirectory directory;
  const RunRow run = RunWithEvaluation(0);
  std::vector<int64_t> micro_batches;
  const auto out_of_memory = [&](const RunDirectory& where, const AttemptRequest& request) {
    micro_batches.push_back(request.micro_batch);
    CHECK(request.sharding == "weights");
    std::ofstream(where.events(request.attempt)) << SealEventLine(
        {{"seq", 1}, {"type", "failure"}, {"class", "out_of_memory"}, {"message", "12 GiB"}});
    return 1;
  };
  const Invocation invocation = RunOnce(directory.path(), {run}, out_of_memory);
  CHECK(micro_batches == std::vector<int64_t>{0, run.spec.global_batch_size / 4});
  CHECK(invocation.outcome.failed == 1);
  CHECK(StateOf(directory.path(), run) == RunState::kFailed);
}

TEST_CASE("A run with recorded steps that runs out of memory is first tried without") {
  const TemporaryDirectory directory;
  const RunRow run = RunWithEvaluation(0);
  std::vector<std::pair<bool, int64_t>> tried;
  const auto out_of_memory = [&](const RunDirectory& where, const AttemptRequest& request) {
    tried.emplace_back(request.cuda_graphs, request.micro_batch);
    std::ofstream(where.events(request.attempt)) << SealEventLine(
        {{"seq", 1}, {"type", "failure"}, {"class", "out_of_memory"}, {"message", "12 GiB"}});
    return 1;
  };
  const Invocation invocation =
      RunOnce(directory.path(), {run}, out_of_memory, false, "", {}, /*cuda_graphs=*/true);
  CHECK(invocation.outcome.failed == 1);
  CHECK(tried == std::vector<std::pair<bool, int64_t>>{
                     {true, 0}, {false, 0}, {false, run.spec.global_batch_size / 4}});
}

TEST_CASE("Steps that cannot be recorded are not what a run out of memory is tried without") {
  const TemporaryDirectory directory;
  RunRow run = RunWithEvaluation(0);
  run.spec.precision = "fp16";
  int attempts = 0;
  const auto out_of_memory = [&](const RunDirectory& where, const AttemptRequest& request) {
    ++attempts;
    std::ofstream(where.events(request.attempt)) << SealEventLine(
        {{"seq", 1}, {"type", "failure"}, {"class", "out_of_memory"}, {"message", "12 GiB"}});
    return 1;
  };
  (void)RunOnce(directory.path(), {run}, out_of_memory, false, "", {}, /*cuda_graphs=*/true);
  CHECK(attempts == 2);
}

TEST_CASE("Preemption costs no attempt while checkpoints advance, and ends a run that never does") {
  const RunRow run = RunWithEvaluation(0);
  int starts = 0;
  const auto saves = [&](const RunDirectory& where, const AttemptRequest& request) {
    if (++starts == 7) return TrainWell(where, request);
    std::ofstream(where.events(request.attempt))
        << SealEventLine({{"seq", 1}, {"type", "checkpoint"}, {"samples_seen", 1}});
    return 130;
  };
  const TemporaryDirectory advancing;
  CHECK(RunOnce(advancing.path(), {run}, saves, false, "preempted").outcome.completed == 1);
  CHECK(starts == 7);

  const TemporaryDirectory stuck;
  const auto never_saves = [](const RunDirectory&, const AttemptRequest&) { return 130; };
  const Invocation invocation = RunOnce(stuck.path(), {run}, never_saves, false, "preempted");
  CHECK(invocation.started.size() == 2);
  CHECK(invocation.outcome.failed == 1);
  CHECK_THAT(invocation.outcome.problems.at(0), Catch::Contains("before its first checkpoint"));
  CHECK(StateOf(stuck.path(), run) == RunState::kPlanned);
}

TEST_CASE(
    "A time limit before the first checkpoint, a full memory and a cancelled job stay ended") {
  const auto nothing = [](const RunDirectory&, const AttemptRequest&) { return 1; };
  for (const auto& [cause, state] : {std::pair("time_limit", RunState::kFailed),
                                     std::pair("out_of_memory", RunState::kFailed),
                                     std::pair("cancelled", RunState::kCancelled)}) {
    const TemporaryDirectory directory;
    const RunRow run = RunWithEvaluation(0);
    const Invocation invocation = RunOnce(directory.path(), {run}, nothing, false, cause);
    CAPTURE(cause);
    CHECK(StateOf(directory.path(), run) == state);
    CHECK_THAT(invocation.outcome.problems.at(0), Catch::Contains(cause));
    CHECK(RunOnce(directory.path(), {run}, TrainWell).started.empty());
    CHECK(RunOnce(directory.path(), {run}, TrainWell, true).outcome.completed == 1);
  }
}

TEST_CASE("A child starts after its parent and finds its checkpoint") {
  const TemporaryDirectory directory;
  const RunRow parent = SampleRunRow(0);
  const RunRow child = ChildOf(parent);
  std::string location;
  const Invocation invocation =
      RunOnce(directory.path(),
              {parent, child},
              [&](const RunDirectory& where, const AttemptRequest& request) {
                if (request.run_id == child.run_id) location = request.locations.at(parent.run_id);
                if (request.run_id == parent.run_id)
                  CHECK(request.keep_at == std::vector<int64_t>{1024});
                return TrainWell(where, request);
              });
  CHECK(invocation.started == std::vector<std::string>{parent.run_id, child.run_id});
  CHECK(std::filesystem::is_directory(location));
}

TEST_CASE("A crash is retried once, then failed with its class, and its child is blocked") {
  const TemporaryDirectory directory;
  const RunRow parent = SampleRunRow(0);
  const RunRow child = ChildOf(parent);
  const Invocation invocation = RunOnce(directory.path(), {parent, child}, Crash);
  CHECK(invocation.started.size() == 2);
  CHECK(invocation.outcome.failed == 1);
  CHECK(invocation.outcome.blocked == 1);
  CHECK(StateOf(directory.path(), parent) == RunState::kFailed);
  CHECK(StateOf(directory.path(), child) == RunState::kPlanned);
}

TEST_CASE("An error of the program is not retried") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow(0);
  CHECK(RunOnce(directory.path(), {run}, FailAlways).started.size() == 1);
  CHECK(Store(directory.path(), Store::Access::kRead).FindRun(run.run_id)->failure_class ==
        "error");
}

TEST_CASE("A bad spec is not retried and its message is kept") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow(0);
  const Invocation invocation = RunOnce(directory.path(), {run}, SayBadSpec);
  CHECK(invocation.started.size() == 1);
  const RunRecord record = *Store(directory.path(), Store::Access::kRead).FindRun(run.run_id);
  CHECK(record.failure_class == "bad_spec");
  CHECK(record.message == "width is odd");
}

TEST_CASE("A failed run is left alone by the next sweep run unless a retry is asked for") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow(0);
  RunOnce(directory.path(), {run}, Crash);
  CHECK(RunOnce(directory.path(), {run}, TrainWell).started.empty());
  CHECK(RunOnce(directory.path(), {run}, TrainWell, /*retry_failed=*/true).outcome.completed == 1);
  CHECK(StateOf(directory.path(), run) == RunState::kCompleted);
}

TEST_CASE("A trainer that exits 0 without a result has failed") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow(0);
  const auto lie = [](const RunDirectory&, const AttemptRequest&) { return 0; };
  CHECK(RunOnce(directory.path(), {run}, lie).outcome.failed == 1);
  CHECK_THAT(Store(directory.path(), Store::Access::kRead).FindRun(run.run_id)->message,
             Catch::Contains("published no result"));
}

TEST_CASE("A diverged run is a result and never a retry") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow(0);
  const auto diverge = [](const RunDirectory& where, const AttemptRequest& request) {
    RunResult result;
    result.run_id = request.run_id;
    result.attempt = request.attempt;
    result.outcome = "diverged";
    PublishFileOnce(where.result(), FieldsToJson(result).dump());
    return 0;
  };
  const Invocation invocation = RunOnce(directory.path(), {run}, diverge);
  CHECK(invocation.outcome.diverged == 1);
  CHECK(StateOf(directory.path(), run) == RunState::kDiverged);
}

TEST_CASE("A rebuilt database equals the old one") {
  const TemporaryDirectory directory;
  const std::vector<RunRow> runs = {RunWithEvaluation(0), RunWithEvaluation(1)};
  RunOnce(directory.path(), runs, TrainWell);
  const auto dump = [&] {
    const Store store(directory.path(), Store::Access::kRead);
    std::vector<QueryTable> tables;
    for (const char* table : {"sweeps",
                              "runs",
                              "sweep_runs",
                              "transitions",
                              "attempts",
                              "events",
                              "event_offsets",
                              "evaluations",
                              "measurements"}) {
      tables.push_back(store.Query(std::string("SELECT * FROM ") + table + " ORDER BY 1, 2"));
    }
    tables.push_back(store.Query("SELECT value FROM meta WHERE key = 'journal_offset'"));
    return tables;
  };
  const std::vector<QueryTable> before = dump();
  std::vector<std::string> notes;
  RebuildDatabase(directory.path(), notes);
  const std::vector<QueryTable> after = dump();
  for (size_t i = 0; i < before.size(); ++i) {
    INFO("table " << i);
    CHECK(before[i].rows == after[i].rows);
  }
}

TEST_CASE("The intents of all starts of a cycle are in the store before the first of them") {
  const TemporaryDirectory directory;
  std::vector<size_t> submitting;  // seen at each start
  const auto count = [&](const AttemptJob& /*job*/) {
    const Store store(directory.path(), Store::Access::kRead);
    const RunStates runs = store.States();
    submitting.push_back(
        static_cast<size_t>(std::count_if(runs.begin(), runs.end(), [](const auto& run) {
          return run.second == RunState::kSubmitting;
        })));
  };
  const SweepOutcome outcome = RunOnce(directory.path(),
                                       {RunWithEvaluation(1), RunWithEvaluation(2)},
                                       TrainWell,
                                       false,
                                       "",
                                       count)
                                   .outcome;
  CHECK(outcome.completed == 2);
  CHECK(submitting == std::vector<size_t>{2, 2});
}

TEST_CASE("A request left for the holder is taken in, and its run done again") {
  const TemporaryDirectory directory;
  const RunRow fails = RunWithEvaluation(1);
  const RunRow goes_on = RunWithEvaluation(2);
  int attempts = 0;
  const auto asked_later = [&](const RunDirectory& folder, const AttemptRequest& request) {
    if (request.run_id != fails.run_id || ++attempts > 1) return TrainWell(folder, request);
    LeaveRetryRequest(directory.path(), {fails.run_id, "no such run"});
    return static_cast<int>(FailureCode::kUsage);  // a bad spec: not tried again by itself
  };
  const SweepOutcome first = RunOnce(directory.path(), {fails, goes_on}, asked_later).outcome;
  CHECK(first.failed == 1);
  // Taken in within a second, or else when the store is opened the next time.
  const SweepOutcome second = RunOnce(directory.path(), {fails, goes_on}, asked_later).outcome;
  CHECK(first.completed + second.completed == 2);
  CHECK(StateOf(directory.path(), fails) == RunState::kCompleted);
  CHECK(std::filesystem::is_empty(directory.path() / "requests"));
}

}  // namespace sweep
