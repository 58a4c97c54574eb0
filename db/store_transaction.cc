#include <fmt/format.h>
#include <sqlite3.h>

#include "db/point_labels.h"
#include "db/store_impl.h"
#include "db/store_layout.h"

namespace sweep {
namespace {

int64_t AsInteger(const Json& entry, const char* name) {
  return entry.value(name, int64_t{0});
}

template <class Number>
std::optional<Number> OptionalNumber(const Json& entry, const char* name) {
  const auto found = entry.find(name);
  return found == entry.end() ? std::nullopt : std::optional<Number>(found->get<Number>());
}

template <class Impl>
bool IsKnownEvent(
    Impl& impl, const std::string& run_id, int64_t attempt, int64_t seq, const std::string& body) {
  return impl
      .Prepare("SELECT 1 FROM events WHERE run_id = ? AND attempt = ? AND seq = ? AND body = ?",
               run_id,
               attempt,
               seq,
               body)
      .executeStep();
}

// Its trainer is about to write there.
void RequireOwnRunFolder(const std::filesystem::path& run, const std::filesystem::path& store) {
  for (const char* name : {"attempts", "evaluations", "lock", "spec.json"})
    RequireNoLinkBetween(store, run / name);
}

}  // namespace

StoreTransaction::StoreTransaction(Store& store) : store_(store) {
  TranslateSqlite(*store_.impl_, [&] { store_.impl_->database->exec("BEGIN IMMEDIATE"); });
}

StoreTransaction::~StoreTransaction() {
  if (committed_) return;
  try {
    store_.impl_->database->exec("ROLLBACK");
  } catch (const SQLite::Exception&) {  // NOLINT(bugprone-empty-catch)
    // SQLite has rolled back by itself; a destructor has nobody to tell.
  }
}

void StoreTransaction::Commit() {
  TranslateSqlite(*store_.impl_, [&] {
    if (store_.impl_->lease) store_.impl_->RequireHeld();
    if (!journal_entries_.empty() && store_.impl_->journal) {
      const int64_t end = store_.impl_->journal->Append(journal_entries_);
      store_.impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('journal_offset', ?)", end);
    }
    store_.impl_->database->exec("COMMIT");
    committed_ = true;
    if (store_.impl_->snapshots) store_.impl_->snapshots->Refresh();
  });
}

void StoreTransaction::AddSweep(const SweepRow& sweep, double added_at) {
  TranslateSqlite(*store_.impl_, [&] {
    Store::Impl& impl = *store_.impl_;
    impl.Execute("INSERT OR IGNORE INTO sweeps VALUES (?, ?, ?, ?)",
                 sweep.sweep_id,
                 sweep.name,
                 added_at,
                 sweep.chosen_by);
    const auto labels = PointLabelsOf(sweep.runs);
    int64_t position = 0;
    for (const RunRow& run : sweep.runs) {
      const std::optional<std::string> parent =
          run.spec.start.run_id.empty() ? std::nullopt : std::optional(run.spec.start.run_id);
      impl.Execute(
          "INSERT OR IGNORE INTO runs (run_id, spec, parent_run_id, params, gmacs_per_sample, "
          "segment_samples_seen, "
          "samples_seen, compute_gmacs, train_flops, data_scale, global_batch_size, learning_rate, "
          "schedule, seed, image_tokens, text_tokens) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          run.run_id,
          CanonicalDump(ToJson(run.spec)),
          parent,
          run.params,
          run.gmacs_per_sample,
          run.spec.samples_seen,
          run.total_samples_seen,
          run.compute_gmacs,
          run.train_flops,
          run.spec.data.data_scale,
          run.spec.global_batch_size,
          run.spec.optimizer.learning_rate,
          labels.at(run.run_id).schedule,
          run.spec.seed,
          run.image_tokens,
          run.text_tokens);
      impl.Execute("INSERT OR IGNORE INTO sweep_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                   sweep.sweep_id,
                   run.run_id,
                   position++,
                   run.model,
                   run.dataset,
                   run.curve,
                   run.point_kind,
                   CanonicalDump(run.coordinates.ToJson()));
    }
  });
}

void StoreTransaction::Transition(const std::string& run_id,
                                  RunState to,
                                  const std::string& reason,
                                  const std::string& failure_class,
                                  const std::string& message) {
  if (to == RunState::kSubmitting)
    RequireOwnRunFolder(store_.run_directory(run_id).root(), store_.root());
  ApplyJournalEntry({{"type", "transition"},
                     {"at", UnixTime()},
                     {"run_id", run_id},
                     {"to", ToString(to)},
                     {"reason", reason},
                     {"class", failure_class},
                     {"message", message}});
}

void StoreTransaction::LoseResult(const std::string& run_id, const std::string& reason) {
  ApplyJournalEntry(
      {{"type", "result_lost"}, {"at", UnixTime()}, {"run_id", run_id}, {"reason", reason}});
}

void StoreTransaction::StartAttempt(const OpenAttempt& attempt) {
  Json entry = {{"type", "attempt_started"},
                {"at", UnixTime()},
                {"run_id", attempt.run_id},
                {"attempt", attempt.attempt},
                {"executor", attempt.executor},
                {"host", attempt.host},
                {"pid", attempt.pid},
                {"job", attempt.job},
                {"provenance", attempt.provenance}};
  if (attempt.predicted_seconds) entry["predicted_seconds"] = *attempt.predicted_seconds;
  ApplyJournalEntry(entry);
}

void StoreTransaction::EndAttempt(const std::string& run_id,
                                  int64_t attempt,
                                  const AttemptEnd& end) {
  Json entry = {{"type", "attempt_ended"},
                {"at", UnixTime()},
                {"run_id", run_id},
                {"attempt", attempt},
                {"outcome", end.outcome},
                {"class", end.failure_class},
                {"message", end.message}};
  if (end.exit_code) entry["exit_code"] = *end.exit_code;
  if (end.signal) entry["signal"] = *end.signal;
  ApplyJournalEntry(entry);
}

// The database's side of every journalled act, the same in the first life and in a replay.
void StoreTransaction::ApplyJournalEntry(const Json& entry) {
  TranslateSqlite(*store_.impl_, [&] { Apply(entry); });
  journal_entries_.push_back(entry);
}

void StoreTransaction::Apply(const Json& entry) {
  const std::string type = entry.value("type", "");
  if (type == "transition") {
    ApplyTransition(entry);
  } else if (type == "attempt_started") {
    ApplyAttemptStart(entry);
  } else if (type == "attempt_ended") {
    ApplyAttemptEnd(entry);
  } else if (type == "result_lost") {
    ApplyLostResult(entry);
  } else {
    throw Malformed(
        fmt::format("its type '{}' is not known (written by a newer sweep?)", type));
  }
}

void StoreTransaction::ApplyTransition(const Json& entry) {
  const std::string run_id = entry.value("run_id", "");
  const RunState from = StateOf(run_id);
  const RunState to = ParseRunState(entry.value("to", ""));
  if (!CanTransition(from, to)) {
    throw Failure(
        FailureCode::kInternal,
        fmt::format("run {} cannot go from {} to {}", run_id, ToString(from), ToString(to)));
  }
  MoveRun(entry, from, to);
}

RunState StoreTransaction::StateOf(const std::string& run_id) {
  SQLite::Statement& query =
      store_.impl_->Prepare("SELECT state FROM runs WHERE run_id = ?", run_id);
  if (!query.executeStep())
    throw Failure(FailureCode::kInternal, "no run " + run_id + " in the store");
  return ParseRunState(query.getColumn(0).getString());
}

void StoreTransaction::MoveRun(const Json& entry, RunState from, RunState to) {
  Store::Impl& impl = *store_.impl_;
  const std::string run_id = entry.value("run_id", "");
  impl.Execute("UPDATE runs SET state = ?, failure_class = ?, message = ? WHERE run_id = ?",
               ToString(to),
               entry.value("class", ""),
               entry.value("message", ""),
               run_id);
  impl.Execute(
      "INSERT INTO transitions (run_id, at, from_state, to_state, reason) VALUES (?, ?, ?, ?, ?)",
      run_id,
      entry.value("at", 0.0),
      ToString(from),
      ToString(to),
      entry.value("reason", ""));
}

void StoreTransaction::ApplyAttemptStart(const Json& entry) {
  store_.impl_->Execute(
      "INSERT INTO attempts (run_id, attempt, executor, host, pid, job, started_at, "
      "predicted_seconds, provenance) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      entry.value("run_id", ""),
      AsInteger(entry, "attempt"),
      entry.value("executor", ""),
      entry.value("host", ""),
      AsInteger(entry, "pid"),
      entry.value("job", ""),
      entry.value("at", 0.0),
      OptionalNumber<double>(entry, "predicted_seconds"),
      entry.value("provenance", Json::object()).dump());
}

void StoreTransaction::ApplyAttemptEnd(const Json& entry) {
  store_.impl_->Execute(
      "UPDATE attempts SET ended_at = ?, outcome = ?, exit_code = ?, signal = ?, failure_class = "
      "?, message = ? WHERE run_id = ? AND attempt = ?",
      entry.value("at", 0.0),
      entry.value("outcome", ""),
      OptionalNumber<int>(entry, "exit_code"),
      OptionalNumber<int>(entry, "signal"),
      entry.value("class", ""),
      entry.value("message", ""),
      entry.value("run_id", ""),
      AsInteger(entry, "attempt"));
}

void StoreTransaction::ApplyLostResult(const Json& entry) {
  Store::Impl& impl = *store_.impl_;
  const std::string run_id = entry.value("run_id", "");
  impl.Execute(
      "INSERT INTO transitions (run_id, at, from_state, to_state, reason) "
      "SELECT run_id, ?, state, 'planned', ? FROM runs WHERE run_id = ?",
      entry.value("at", 0.0),
      entry.value("reason", ""),
      run_id);
  impl.Execute(
      "UPDATE runs SET state = 'planned', failure_class = '', message = '', checkpoint = '', "
      "final_loss = NULL, train_seconds = 0 WHERE run_id = ?",
      run_id);
}

namespace {

RunState StateIn(const Json& entry) {
  try {
    return ParseRunState(entry.value("to", ""));
  } catch (const Failure& failure) {
    throw Malformed(failure.what());
  }
}

// Of a state that the journal reached over lines that are lost: what it says of it stands.
bool FollowsLostLines(RunState from, RunState to) {
  return from != to && from != RunState::kCompleted;
}

}  // namespace

std::optional<std::string> StoreTransaction::ApplyAgain(const Json& entry) {
  const std::string run_id = entry.value("run_id", "");
  if (!store_.FindRun(run_id)) return fmt::format("it is about run {}, which no sweep has", run_id);
  if (entry.value("type", "") != "transition") {
    Apply(entry);
    return std::nullopt;
  }
  const RunState from = StateOf(run_id);
  const RunState to = StateIn(entry);
  const bool legal = CanTransition(from, to);
  if (legal || FollowsLostLines(from, to)) MoveRun(entry, from, to);
  if (legal || from == to) return std::nullopt;
  return fmt::format(
      "a line before it that took run {} on from {} is lost", run_id, ToString(from));
}

std::string StoreTransaction::TroubleWith(const Json& entry) {
  try {
    return ApplyAgain(entry).value_or("");
  } catch (const SQLite::Exception& error) {
    if (error.getErrorCode() != SQLITE_CONSTRAINT) store_.impl_->Explain(error);
    return error.what();
  } catch (const Json::exception& error) {
    return error.what();
  } catch (const Malformed& malformed) {
    return malformed.what();
  }
}

Replay StoreTransaction::ReplayJournal() {
  return TranslateSqlite(*store_.impl_, [&] {
    const std::optional<int64_t> offset = store_.JournalOffset();
    const std::filesystem::path path = store_.root() / "journal.jsonl";
    const Journal::Tail tail = Journal::ReadFrom(path, offset.value_or(0));
    Replay replay;
    replay.is_whole = !offset || !tail.damaged.empty();
    if (tail.was_cut) {
      replay.damaged.push_back(fmt::format(
          "{}: it ends before byte {}, up to which the database had followed it: what the "
          "database knows stands",
          path.string(),
          *offset));
    }
    for (const int64_t at : tail.damaged) {
      replay.damaged.push_back(
          fmt::format("{}: the line at byte {} is damaged and was skipped", path.string(), at));
    }
    constexpr size_t kMostOddTold = 20;
    size_t odd = 0;
    for (const auto& [at, entry] : tail.entries) {
      if (const auto run_id = entry.find("run_id"); run_id != entry.end() && run_id->is_string())
        replay.runs.insert(run_id->get<std::string>());
      const std::string trouble = TroubleWith(entry);
      if (!trouble.empty() && ++odd <= kMostOddTold) {
        replay.odd.push_back(
            fmt::format("{}: the line at byte {}: {}", path.string(), at, trouble));
      }
    }
    if (odd > kMostOddTold) {
      replay.odd.push_back(
          fmt::format("{}: {} more such lines", path.string(), odd - kMostOddTold));
    }
    const int64_t end = tail.was_cut ? Journal::ReadFrom(path, 0).end : tail.end;
    if (end != offset)
      store_.impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('journal_offset', ?)", end);
    replay.changed = end != offset;
    return replay;
  });
}

void StoreTransaction::RecordResult(const RunResult& result) {
  TranslateSqlite(*store_.impl_, [&] {
    store_.impl_->Execute(
        "UPDATE runs SET checkpoint = ?, final_loss = ?, train_seconds = ? WHERE run_id = ?",
        result.checkpoint,
        result.final_loss,
        result.train_seconds,
        result.run_id);
  });
}

bool StoreTransaction::RecordEvaluation(const EvaluationResult& evaluation) {
  return TranslateSqlite(*store_.impl_, [&] {
    Store::Impl& impl = *store_.impl_;
    impl.Execute("INSERT OR IGNORE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)",
                 evaluation.eval_id,
                 evaluation.run_id,
                 evaluation.samples_seen,
                 evaluation.spec.task,
                 evaluation.eval_dataset,
                 CanonicalDump(ToJson(evaluation.spec)),
                 evaluation.seconds);
    const bool is_new = impl.database->getChanges() > 0;
    if (!evaluation.checked)
      impl.Execute("INSERT OR IGNORE INTO unchecked_evaluations VALUES (?)", evaluation.eval_id);
    for (const auto& [metric, measured] : evaluation.metrics) {
      impl.Execute("INSERT OR IGNORE INTO measurements VALUES (?, ?, ?, ?)",
                   evaluation.eval_id,
                   metric,
                   measured.value,
                   measured.sample_size);
    }
    return is_new;
  });
}

std::vector<int64_t> StoreTransaction::RecordEvents(const std::string& run_id,
                                                    int64_t attempt,
                                                    const std::vector<Json>& events,
                                                    int64_t offset) {
  return TranslateSqlite(*store_.impl_, [&] {
    Store::Impl& impl = *store_.impl_;
    std::vector<int64_t> taken;
    for (const Json& event : events) {
      const int64_t seq = FindInteger(event, "seq").value();
      const std::string body = event.dump();
      impl.Execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)",
                   run_id,
                   attempt,
                   seq,
                   FindText(event, "type").value(),
                   body);
      if (impl.database->getChanges() == 0 && !IsKnownEvent(impl, run_id, attempt, seq, body))
        taken.push_back(seq);
    }
    impl.Execute("INSERT OR REPLACE INTO event_offsets VALUES (?, ?, ?)", run_id, attempt, offset);
    return taken;
  });
}

void StoreTransaction::ForgetEvaluation(const std::string& eval_id) {
  TranslateSqlite(*store_.impl_, [&] {
    store_.impl_->Execute("DELETE FROM unchecked_evaluations WHERE eval_id = ?", eval_id);
    store_.impl_->Execute("DELETE FROM measurements WHERE eval_id = ?", eval_id);
    store_.impl_->Execute("DELETE FROM evaluations WHERE eval_id = ?", eval_id);
  });
}

void StoreTransaction::AddImport(const std::string& import_id,
                                 const std::string& name,
                                 const std::string& format,
                                 const std::vector<ImportedPoint>& points,
                                 double added_at) {
  TranslateSqlite(*store_.impl_, [&] {
    Store::Impl& impl = *store_.impl_;
    const auto rows = static_cast<int64_t>(points.size());
    impl.Execute("INSERT OR REPLACE INTO imports VALUES (?, ?, ?, ?, ?)",
                 import_id,
                 name,
                 format,
                 rows,
                 added_at);
    impl.Execute("DELETE FROM imported_points WHERE import_id = ?", import_id);
    int64_t position = 0;
    for (const ImportedPoint& p : points) {
      impl.Execute(
          "INSERT INTO imported_points VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
          import_id,
          position++,
          p.curve,
          p.run,
          p.model,
          p.dataset,
          p.data_scale,
          p.samples_seen,
          p.gmacs_per_sample,
          p.compute_gmacs,
          p.train_flops,
          p.params,
          p.global_batch_size,
          p.learning_rate,
          p.seed,
          p.schedule,
          p.point_kind,
          p.task,
          p.eval_dataset,
          p.metric,
          p.value,
          p.sample_size);
    }
  });
}

void StoreTransaction::ReplaceFits(const std::string& sweep_id,
                                   const std::map<std::string, Json>& reports) {
  TranslateSqlite(*store_.impl_, [&] {
    store_.impl_->Execute("DELETE FROM fits WHERE sweep_id = ?", sweep_id);
    for (const auto& [fit_id, report] : reports) {
      store_.impl_->Execute("INSERT OR REPLACE INTO fits VALUES (?, ?, ?, ?)",
                            fit_id,
                            sweep_id,
                            report.dump(),
                            UnixTime());
    }
  });
}

}  // namespace sweep
