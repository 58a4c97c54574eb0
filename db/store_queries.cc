#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "core/printable.h"
#include "db/store_impl.h"

namespace sweep {
namespace {

constexpr size_t kMostClassBytes = 40;
constexpr double kMostSamplesPerSecond = 1e12;  // nothing trains that fast: clocks and trainers lie

template <class Set>
Set FirstColumn(SQLite::Statement& statement) {
  Set values;
  while (statement.executeStep()) values.insert(statement.getColumn(0).getString());
  return values;
}

constexpr const char* kRunColumns =
    "SELECT run_id, state, failure_class, message, checkpoint, final_loss, train_seconds, "
    "coalesce((SELECT max(attempt) FROM attempts WHERE attempts.run_id = runs.run_id), 0), "
    "segment_samples_seen, samples_seen FROM runs ";

RunRecord ReadRunRecord(SQLite::Statement& row) {
  RunRecord record;
  record.run_id = row.getColumn(0).getString();
  record.state = ParseRunState(row.getColumn(1).getString());
  record.failure_class = row.getColumn(2).getString();
  record.message = row.getColumn(3).getString();
  record.checkpoint = row.getColumn(4).getString();
  if (!row.getColumn(5).isNull()) record.final_loss = row.getColumn(5).getDouble();
  record.train_seconds = row.getColumn(6).getDouble();
  record.attempts = row.getColumn(7).getInt64();
  record.segment_samples_seen = row.getColumn(8).getInt64();
  record.total_samples_seen = row.getColumn(9).getInt64();
  return record;
}

// SQLite prints a REAL with 15 digits; values must survive a round trip.
std::string CellText(const SQLite::Column& cell) {
  if (cell.isNull()) return "";
  if (cell.isFloat()) return fmt::format("{}", cell.getDouble());
  return cell.getString();
}

// Of work between two times by the trainer's clock, which may be wrong: not longer than `sweep` saw
// by its own, where that went forwards.
double SecondsOf(double begin, double end, double most) {
  const double seconds = std::max(0.0, end - begin);
  return most > 0 ? std::min(seconds, most) : seconds;
}

}  // namespace

std::set<std::string> Store::SweepIds() const {
  return TranslateSqlite(*impl_, [&] {
    return FirstColumn<std::set<std::string>>(impl_->Prepare("SELECT sweep_id FROM sweeps"));
  });
}

std::set<std::string> Store::ImportIds() const {
  return TranslateSqlite(*impl_, [&] {
    return FirstColumn<std::set<std::string>>(impl_->Prepare("SELECT import_id FROM imports"));
  });
}

std::optional<RunRecord> Store::FindRun(const std::string& run_id) const {
  return TranslateSqlite(*impl_, [&]() -> std::optional<RunRecord> {
    SQLite::Statement& query =
        impl_->Prepare(std::string(kRunColumns) + "WHERE run_id = ?", run_id);
    if (!query.executeStep()) return std::nullopt;
    return ReadRunRecord(query);
  });
}

RunStates Store::States(const std::string& sweep_id) const {
  return TranslateSqlite(*impl_, [&] {
    SQLite::Statement& query = impl_->Prepare(
        "SELECT run_id, state FROM runs "
        "WHERE ?1 = '' OR run_id IN (SELECT run_id FROM sweep_runs WHERE sweep_id = ?1)",
        sweep_id);
    RunStates states;
    while (query.executeStep()) {
      states.emplace(query.getColumn(0).getString(), ParseRunState(query.getColumn(1).getString()));
    }
    return states;
  });
}

IdSet Store::FinishedEvaluations() const {
  return TranslateSqlite(*impl_, [&] {
    return FirstColumn<IdSet>(impl_->Prepare("SELECT eval_id FROM evaluations"));
  });
}

IdSet Store::FinishedEvaluations(const std::string& run_id) const {
  return TranslateSqlite(*impl_, [&] {
    return FirstColumn<IdSet>(
        impl_->Prepare("SELECT eval_id FROM evaluations WHERE run_id = ?", run_id));
  });
}

int64_t Store::UncheckedEvaluations() const {
  return TranslateSqlite(*impl_, [&] {
    return impl_->database->execAndGet("SELECT count(*) FROM unchecked_evaluations").getInt64();
  });
}

bool Store::HasBeen(const std::string& run_id, RunState state) const {
  return TranslateSqlite(*impl_, [&] {
    return impl_
        ->Prepare("SELECT 1 FROM transitions WHERE run_id = ? AND to_state = ? LIMIT 1",
                  run_id,
                  ToString(state))
        .executeStep();
  });
}

std::vector<OpenAttempt> Store::OpenAttempts() const {
  return TranslateSqlite(*impl_, [&] {
    SQLite::Statement& query = impl_->Prepare(
        "SELECT run_id, attempt, executor, host, pid, job FROM attempts WHERE outcome "
        "IS NULL");
    std::vector<OpenAttempt> open;
    while (query.executeStep()) {
      open.push_back({query.getColumn(0).getString(),
                      query.getColumn(1).getInt64(),
                      query.getColumn(2).getString(),
                      query.getColumn(3).getString(),
                      query.getColumn(4).getInt64(),
                      query.getColumn(5).getString()});
    }
    return open;
  });
}

std::optional<RunProgress> Store::LatestProgress(const std::string& run_id) const {
  return TranslateSqlite(*impl_, [&]() -> std::optional<RunProgress> {
    SQLite::Statement& query = impl_->Prepare(
        "SELECT body FROM events WHERE run_id = ? AND type = 'step' ORDER BY attempt DESC, seq "
        "DESC LIMIT 1",
        run_id);
    if (!query.executeStep()) return std::nullopt;
    const Json body = Json::parse(query.getColumn(0).getString());
    RunProgress progress;
    progress.samples_seen = FindInteger(body, "samples_seen").value_or(0);
    progress.samples_per_second = FindNumber(body, "samples_per_second").value_or(0);
    progress.loss = FindNumber(body, "loss");
    return progress;
  });
}

std::vector<MeasuredRates> Store::RatesAt(const std::string& executor,
                                          const std::string& host) const {
  return TranslateSqlite(*impl_, [&] {
    // Numbers first: there are few models, and many attempts at each.
    std::map<std::tuple<int64_t, std::string, int64_t, int64_t>, std::vector<double>> measured;
    SQLite::Statement& attempts = impl_->Prepare(
        "SELECT workload_id, device, threads, processes, samples_per_second FROM attempt_rates "
        "WHERE executor = ? AND host = ?",
        executor,
        host);
    while (attempts.executeStep()) {
      const double rate = attempts.getColumn(4).getDouble();
      if (!(rate > 0 && rate <= kMostSamplesPerSecond)) continue;
      measured[{attempts.getColumn(0).getInt64(),
                attempts.getColumn(1).getString(),
                attempts.getColumn(2).getInt64(),
                attempts.getColumn(3).getInt64()}]
          .push_back(rate);
    }
    std::vector<MeasuredRates> rates;
    for (auto& [key, values] : measured) {
      const auto& [workload_id, device, threads, processes] = key;
      SQLite::Statement& workload = impl_->Prepare(
          "SELECT model, precision, reduction FROM workloads WHERE workload_id = ?", workload_id);
      workload.executeStep();
      rates.push_back({workload.getColumn(0).getString(),
                       workload.getColumn(1).getString(),
                       workload.getColumn(2).getString(),
                       device,
                       threads,
                       processes,
                       std::move(values)});
    }
    return rates;
  });
}

std::vector<AttemptSpan> Store::AttemptSpans(double now) const {
  return TranslateSqlite(*impl_, [&] {
    SQLite::Statement& query = impl_->Prepare(
        "SELECT run_id, attempt, executor, host, coalesce(device, ''), coalesce(threads, 0), "
        "coalesce(processes, 1), outcome IS NULL, "
        "coalesce(attempt_work.started_at, CASE WHEN job = '' THEN attempts.started_at END), "
        "coalesce(ended_at, ?1) - coalesce(attempt_waits.seconds, 0), attempts.started_at, "
        "coalesce(ended_at, ?1) FROM attempts LEFT JOIN attempt_work USING (run_id, attempt) "
        "LEFT JOIN attempt_waits USING (run_id, attempt) ORDER BY run_id, attempt",
        now);
    std::vector<AttemptSpan> spans;
    while (query.executeStep()) {
      AttemptSpan& span = spans.emplace_back();
      span.run_id = query.getColumn(0).getString();
      span.attempt = query.getColumn(1).getInt64();
      span.executor = query.getColumn(2).getString();
      span.host = query.getColumn(3).getString();
      span.device = query.getColumn(4).getString();
      span.threads = query.getColumn(5).getInt64();
      span.processes = query.getColumn(6).getInt64();
      span.open = query.getColumn(7).getInt() != 0;
      span.started_at = query.getColumn(10).getDouble();
      if (!query.getColumn(8).isNull())
        span.seconds = SecondsOf(query.getColumn(8).getDouble(),
                                 query.getColumn(9).getDouble(),
                                 query.getColumn(11).getDouble() - span.started_at);
    }
    return spans;
  });
}

IdSet Store::RunsOfName(const std::string& sweep_name) const {
  return TranslateSqlite(*impl_, [&] {
    return FirstColumn<IdSet>(impl_->Prepare(
        "SELECT run_id FROM sweep_runs JOIN sweeps USING (sweep_id) WHERE name = ?", sweep_name));
  });
}

std::optional<ReportedFailure> Store::FailureOf(const std::string& run_id, int64_t attempt) const {
  return TranslateSqlite(*impl_, [&]() -> std::optional<ReportedFailure> {
    SQLite::Statement& query = impl_->Prepare(
        "SELECT body FROM events WHERE run_id = ? AND attempt = ? AND type = 'failure' ORDER BY "
        "seq DESC LIMIT 1",
        run_id,
        attempt);
    if (!query.executeStep()) return std::nullopt;
    const Json body = Json::parse(query.getColumn(0).getString());
    return ReportedFailure{Printable(FindText(body, "class").value_or("error"), kMostClassBytes),
                           Printable(FindText(body, "message").value_or(""))};
  });
}

bool Store::HasCheckpointed(const std::string& run_id, int64_t attempt) const {
  return TranslateSqlite(*impl_, [&] {
    return impl_
        ->Prepare(
            "SELECT 1 FROM events WHERE run_id = ? AND attempt = ? AND type = 'checkpoint' LIMIT 1",
            run_id,
            attempt)
        .executeStep();
  });
}

int64_t Store::EventOffset(const std::string& run_id, int64_t attempt) const {
  return TranslateSqlite(*impl_, [&] {
    SQLite::Statement& query = impl_->Prepare(
        "SELECT offset FROM event_offsets WHERE run_id = ? AND attempt = ?", run_id, attempt);
    return query.executeStep() ? query.getColumn(0).getInt64() : int64_t{0};
  });
}

QueryTable Store::Query(const std::string& sql, const std::vector<std::string>& parameters) const {
  return TranslateSqlite(*impl_, [&] {
    SQLite::Statement query(*impl_->database, sql);
    for (size_t i = 0; i < parameters.size(); ++i)
      query.bind(static_cast<int>(i) + 1, parameters[i]);
    QueryTable table;
    for (int i = 0; i < query.getColumnCount(); ++i)
      table.columns.emplace_back(query.getColumnName(i));
    while (query.executeStep()) {
      std::vector<std::string>& row = table.rows.emplace_back();
      for (int i = 0; i < query.getColumnCount(); ++i) row.push_back(CellText(query.getColumn(i)));
    }
    return table;
  });
}

QueryTable Store::Points() const {
  return Query(
      "SELECT * FROM points ORDER BY curve, task, eval_dataset, metric, compute_gmacs, run");
}

std::string Store::IntegrityReport() const {
  return TranslateSqlite(*impl_, [&] {
    std::string integrity = impl_->database->execAndGet("PRAGMA integrity_check").getString();
    if (integrity != "ok") return integrity;
    SQLite::Statement foreign_keys(*impl_->database, "PRAGMA foreign_key_check");
    if (foreign_keys.executeStep()) {
      return fmt::format("a row of {} refers to a row that is not there",
                         foreign_keys.getColumn(0).getString());
    }
    return integrity;
  });
}

}  // namespace sweep
