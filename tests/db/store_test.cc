#include <fmt/format.h>
#include "db/store.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "tests/support/environment_variable.h"
#include "tests/support/sample_rows.h"
#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

void AddOneRun(Store& store, const RunRow& run) {
  StoreTransaction transaction(store);
  transaction.AddSweep(SampleSweepRow({run}), 1.0);
  transaction.Commit();
}

void Move(Store& store, const std::string& run_id, RunState to) {
  StoreTransaction transaction(store);
  transaction.Transition(run_id, to, "test");
  transaction.Commit();
}

}  // namespace

TEST_CASE("A run goes from planned to completed and its transitions are kept") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  for (const RunState state : {RunState::kSubmitting, RunState::kRunning, RunState::kCompleted}) {
    Move(store, run.run_id, state);
  }
  CHECK(store.FindRun(run.run_id)->state == RunState::kCompleted);
  CHECK(store.Query("SELECT to_state FROM transitions ORDER BY transition_id").rows ==
        std::vector<std::vector<std::string>>{{"submitting"}, {"running"}, {"completed"}});
}

TEST_CASE("A reader waits for a store that is being made") {
  const TemporaryDirectory directory;
  SQLite::Database half(directory.path() / "sweep.db",
                        SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  half.exec("PRAGMA journal_mode = WAL");
  std::jthread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const Store store(directory.path(), Store::Access::kWrite);
  });
  CHECK(Store(directory.path(), Store::Access::kRead).States().empty());
}

TEST_CASE("On a network file system readers get a snapshot while the writer holds the database") {
  const TemporaryDirectory directory;
  const EnvironmentVariable network("SWEEP_FILE_SYSTEM", "network");
  const RunRow run = SampleRunRow();
  {
    Store writer(directory.path(), Store::Access::kWrite);
    CHECK(Store(directory.path(), Store::Access::kRead).States().empty());
    AddOneRun(writer, run);
  }
  Store writer(directory.path(), Store::Access::kWrite);
  Move(writer, run.run_id, RunState::kSubmitting);
  const Store reader(directory.path(), Store::Access::kRead);
  CHECK(reader.States().size() == 1);
  CHECK(reader.FindRun(run.run_id)->state == RunState::kPlanned);  // a moment ago
  CHECK_FALSE(std::filesystem::exists(directory.path() / "sweep.db-wal"));
}

TEST_CASE("A file system that SWEEP_FILE_SYSTEM does not know is refused") {
  const TemporaryDirectory directory;
  const EnvironmentVariable wrong("SWEEP_FILE_SYSTEM", "tape");
  CHECK_THROWS_WITH(Store(directory.path(), Store::Access::kWrite),
                    Catch::Contains("SWEEP_FILE_SYSTEM is 'tape', expected local or network"));
}

TEST_CASE("An illegal change of state is refused and changes nothing") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  Move(store, run.run_id, RunState::kCompleted);
  CHECK_THROWS_WITH(Move(store, run.run_id, RunState::kPlanned),
                    Catch::Contains("cannot go from completed to planned"));
  CHECK(store.FindRun(run.run_id)->state == RunState::kCompleted);
}

TEST_CASE("A transaction that is not committed leaves no trace") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  {
    StoreTransaction transaction(store);
    transaction.Transition(run.run_id, RunState::kSubmitting, "test");
  }
  CHECK(store.FindRun(run.run_id)->state == RunState::kPlanned);
  CHECK(ReadFile(directory.path() / "journal.jsonl").empty());
}

namespace {

Replay Replayed(Store& store) {
  StoreTransaction transaction(store);
  Replay replay = transaction.ReplayJournal();
  transaction.Commit();
  return replay;
}

}  // namespace

TEST_CASE("What the journal has and the database lost is applied again") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow();
  {
    Store store(directory.path(), Store::Access::kWrite);
    AddOneRun(store, run);
    Move(store, run.run_id, RunState::kSubmitting);
    std::filesystem::copy_file(directory.path() / "sweep.db", directory.path() / "old.db");
    std::filesystem::copy_file(directory.path() / "sweep.db-wal", directory.path() / "old.db-wal");
    Move(store, run.run_id, RunState::kRunning);
  }
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::rename(directory.path() / (std::string("old.db") + suffix),
                            directory.path() / (std::string("sweep.db") + suffix));
  }
  Store store(directory.path(), Store::Access::kWrite);
  CHECK(store.FindRun(run.run_id)->state == RunState::kSubmitting);
  CHECK(Replayed(store).runs.contains(run.run_id));
  CHECK(store.FindRun(run.run_id)->state == RunState::kRunning);
  CHECK_FALSE(Replayed(store).changed);
  CHECK(store.Query("SELECT count(*) FROM transitions").rows[0][0] == "2");
}

TEST_CASE("A torn last line of the journal is cut off, a damaged one costs itself alone") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow();
  {
    Store store(directory.path(), Store::Access::kWrite);
    AddOneRun(store, run);
    Move(store, run.run_id, RunState::kSubmitting);
  }
  const auto journal = directory.path() / "journal.jsonl";
  const std::string whole = ReadFile(journal);
  std::ofstream(journal, std::ios::app) << "{\"type\":\"trans";
  {
    const Store store(directory.path(), Store::Access::kWrite);
  }
  CHECK(ReadFile(journal) == whole);
  std::ofstream(journal, std::ios::app)
      << "{\"type\":\"transition\",\"crc32\":\"00000000\"}\n"
      << SealEventLine({{"type", "transition"}, {"run_id", run.run_id}, {"to", "running"}});
  Store store(directory.path(), Store::Access::kWrite);
  const Replay replay = Replayed(store);
  REQUIRE(replay.damaged.size() == 1);
  CHECK_THAT(replay.damaged[0],
             Catch::Contains(fmt::format("the line at byte {} is damaged", whole.size())));
  CHECK(replay.is_whole);
  CHECK(store.FindRun(run.run_id)->state == RunState::kRunning);
}

TEST_CASE("Journal lines that can mean nothing are told and cost themselves alone") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow();
  Store store(directory.path(), Store::Access::kWrite);
  AddOneRun(store, run);
  Move(store, run.run_id, RunState::kSubmitting);
  const auto line = [](Json entry) { return SealEventLine(entry); };
  std::ofstream(directory.path() / "journal.jsonl", std::ios::app)
      << line({{"type", 7}, {"run_id", run.run_id}})
      << line({{"type", "transition"}, {"run_id", run.run_id}, {"to", "nowhere"}})
      << line({{"type", "transition"}, {"run_id", "another"}, {"to", "running"}})
      << line({{"type", "transition"}, {"run_id", run.run_id}, {"to", "running"}, {"at", "noon"}})
      << line({{"type", "attempt_ended"},
               {"run_id", run.run_id},
               {"outcome", "odd"},
               {"attempt", 1}})
      << line({{"type", "attempt_started"}, {"run_id", run.run_id}, {"attempt", 1}, {"pid", "x"}})
      << line({{"type", "dance"}, {"run_id", run.run_id}})
      << line({{"type", "transition"}, {"run_id", run.run_id}, {"to", "running"}});
  const Replay replay = Replayed(store);
  CHECK(replay.odd.size() == 6);  // an end of an attempt that is not there changes nothing
  CHECK(store.FindRun(run.run_id)->state == RunState::kRunning);
  CHECK_FALSE(Replayed(store).changed);
}

TEST_CASE("A writer that lost the store to another one commits nothing") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  std::filesystem::remove(directory.path() / "lease");  // as a network file system drops a lock
  Store other(directory.path(), Store::Access::kWrite);
  CHECK_THROWS_WITH(AddOneRun(store, SampleRunRow()), Catch::Contains("has taken it over"));
  CHECK_THROWS_AS(store.RequireHeld(), Failure);
  AddOneRun(other, SampleRunRow());
  CHECK(other.States().size() == 1);
}

TEST_CASE("A second writer is told who holds the store, a reader may look") {
  const TemporaryDirectory directory;
  const Store holder(directory.path(), Store::Access::kWrite);
  try {
    const Store second(directory.path(), Store::Access::kWrite);
    FAIL("the second writer was let in");
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::kStoreHeld);
    CHECK_THAT(failure.what(), Catch::Contains("process " + std::to_string(::getpid())));
  }
  CHECK(Store(directory.path(), Store::Access::kRead).SweepIds().empty());
}

TEST_CASE("A database of a newer version is refused with advice") {
  const TemporaryDirectory directory;
  {
    const Store store(directory.path(), Store::Access::kWrite);
  }
  // SQLite keeps user_version big-endian at byte 60 of the first page.
  std::fstream file(directory.path() / "sweep.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(63);
  file.put(99);
  file.close();
  CHECK_THROWS_WITH(Store(directory.path(), Store::Access::kWrite),
                    Catch::Contains("schema version 99"));
}

TEST_CASE("Ingesting the same evaluation and events twice changes nothing") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  for (int i = 0; i < 2; ++i) {
    StoreTransaction transaction(store);
    transaction.RecordEvaluation(SampleEvaluationResult(run, 0.75));
    transaction.RecordEvents(
        run.run_id, 1, {{{"seq", 1}, {"type", "step"}, {"samples_seen", 128}, {"loss", 4.5}}}, 90);
    transaction.Commit();
  }
  CHECK(store.Query("SELECT count(*) FROM measurements").rows[0][0] == "1");
  CHECK(store.Query("SELECT count(*) FROM events").rows[0][0] == "1");
  CHECK(store.EventOffset(run.run_id, 1) == 90);
  CHECK(store.LatestProgress(run.run_id)->loss == 4.5);
}

namespace {

// An attempt here, and what its trainer said: it was queued again and so started twice.
void AddAttempt(Store& store, const RunRow& run, int64_t attempt, const std::string& host) {
  StoreTransaction transaction(store);
  transaction.StartAttempt({run.run_id, attempt, "local", host, 1, "", std::nullopt, {}});
  const Json start = {{"device", "cpu"}, {"threads", 3}, {"type", "started"}};
  const auto step = [](int64_t seq, double at, int64_t samples) -> Json {
    return {{"seq", seq}, {"type", "step"}, {"at", at}, {"samples_seen", samples}};
  };
  Json first_start = start, second_start = start;
  first_start.update({{"seq", 1}, {"at", 10.0}});
  second_start.update({{"seq", 4}, {"at", 60.0}, {"threads", 4}});
  transaction.RecordEvents(
      run.run_id,
      attempt,
      {first_start, step(2, 20, 100), step(3, 30, 400), second_start, step(5, 70, 600)},
      90);
  transaction.Commit();
}

}  // namespace

TEST_CASE("Rates of attempts are from their first to their last step, by workload and place") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  AddAttempt(store, run, 1, "here");
  AddAttempt(store, run, 2, "here");
  AddAttempt(store, run, 3, "there");
  const std::vector<MeasuredRates> rates = store.RatesAt("local", "here");
  REQUIRE(rates.size() == 1);
  CHECK(rates[0].samples_per_second == std::vector<double>{25, 25});  // less the 30 s in the queue
  CHECK(rates[0].model == CanonicalDump(FieldsToJson(run.spec.model)));
  CHECK(rates[0].precision == "fp32");
  CHECK(rates[0].device == "cpu");
  CHECK(rates[0].threads == 3);
  CHECK(rates[0].processes == 1);
  CHECK(store.RatesAt("slurm", "here").empty());
  CHECK(store.AttemptSpans(100).at(0).seconds == 60);  // from the trainer's own start, likewise
}

TEST_CASE("Events that say odd things of speed are taken in all the same") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  StoreTransaction transaction(store);
  transaction.RecordEvents(
      run.run_id,
      1,
      {{{"seq", 1}, {"type", "started"}, {"at", "noon"}, {"threads", "auto"}, {"device", {1, 2}}},
       {{"seq", 2}, {"type", "step"}, {"at", Json()}, {"samples_seen", 3.5}},
       {{"seq", 3}, {"type", "step"}, {"samples_seen", "many"}}},
      90);
  transaction.Commit();
  CHECK(store.Query("SELECT count(*) FROM events").rows[0][0] == "3");
  CHECK(store.RatesAt("local", "here").empty());
}

TEST_CASE("A store of the version before keeps its rates") {
  const TemporaryDirectory directory;
  const RunRow run = SampleRunRow();
  {
    Store store(directory.path(), Store::Access::kWrite);
    AddOneRun(store, run);
    AddAttempt(store, run, 1, "here");
  }
  SQLite::Database((directory.path() / "sweep.db").string(), SQLite::OPEN_READWRITE)
      .exec(
          "DROP TRIGGER attempt_work_of_event; DROP VIEW run_workloads; DROP TABLE attempt_work; "
          "DROP TABLE workloads; DROP INDEX runs_by_parent; DROP VIEW attempt_waits; DROP INDEX "
          "events_of_restarts; PRAGMA user_version = 7");
  const Store store(directory.path(), Store::Access::kWrite);
  const std::vector<MeasuredRates> rates = store.RatesAt("local", "here");
  REQUIRE(rates.size() == 1);
  CHECK(rates[0].samples_per_second == std::vector<double>{25});
  CHECK(rates[0].threads == 3);
  CHECK(store.AttemptSpans(100).at(0).seconds == 60);
}

TEST_CASE("The points view gives one row a measurement with its coordinates") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  const RunRow run = SampleRunRow();
  AddOneRun(store, run);
  StoreTransaction transaction(store);
  transaction.RecordEvaluation(SampleEvaluationResult(run, 0.1 + 0.2));
  transaction.Commit();
  const QueryTable points = store.Query(
      "SELECT curve, model, samples_seen, compute_gmacs, point_kind, eval_dataset, metric, value "
      "FROM points");
  REQUIRE(points.rows.size() == 1);
  CHECK(points.rows[0] ==
        std::vector<std::string>{
            "scenes", "tiny", "1024", "1.024", "final", "items", "acc1", "0.30000000000000004"});
}

// What the view says of a trunk that two branches left, of which one goes on at constant rate.
std::vector<std::string> PointsOfTrunkAndBranches(Store& store) {
  std::vector<std::string> points;
  for (const auto& row :
       store.Query("SELECT value, schedule, point_kind FROM points ORDER BY value").rows)
    points.push_back(row[0] + " " + row[1] + " " + row[2]);
  return points;
}

TEST_CASE("Points know a trunk, its branches and the schedule of both, also of an older store") {
  const TemporaryDirectory directory;
  const std::vector<std::string> expected = {"0.125 constant trunk",
                                             "0.25 constant+cosine cooldown",
                                             "0.5 constant_cooldown cooldown",
                                             "0.75 constant final"};
  {
    Store store(directory.path(), Store::Access::kWrite);
    std::vector<RunRow> runs = {SampleRunRow(1)};
    runs[0].spec.schedule = {"constant"};
    for (const char* schedule : {"cosine", "constant_cooldown", "constant"}) {
      RunRow& branch = runs.emplace_back(SampleRunRow(1));
      branch.spec.schedule = {schedule};
      branch.spec.start.run_id = runs[0].run_id;
      branch.run_id = RunId(branch.spec);
      if (branch.spec.schedule.name != "constant") branch.point_kind = "cooldown";
    }
    StoreTransaction transaction(store);
    transaction.AddSweep(SampleSweepRow(runs), 1);
    const double values[] = {0.125, 0.25, 0.5, 0.75};
    for (size_t i = 0; i < runs.size(); ++i)
      transaction.RecordEvaluation(SampleEvaluationResult(runs[i], values[i]));
    transaction.Commit();
    CHECK(PointsOfTrunkAndBranches(store) == expected);
  }
  SQLite::Database((directory.path() / "sweep.db").string(), SQLite::OPEN_READWRITE)
      .exec(
          "UPDATE runs SET schedule = coalesce(json_extract(spec, '$.schedule.name'), 'cosine'); "
          "DROP INDEX runs_by_parent; DROP VIEW attempt_waits; DROP INDEX events_of_restarts; "
          "PRAGMA user_version = 8");
  Store store(directory.path(), Store::Access::kWrite);
  CHECK(PointsOfTrunkAndBranches(store) == expected);
}

TEST_CASE("Integrity is checked down to foreign keys") {
  const TemporaryDirectory directory;
  Store store(directory.path(), Store::Access::kWrite);
  CHECK(store.IntegrityReport() == "ok");
  StoreTransaction transaction(store);
  CHECK_THROWS_AS(transaction.RecordEvaluation(SampleEvaluationResult(SampleRunRow(), 0.5)),
                  Failure);
}

}  // namespace sweep
