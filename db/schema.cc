#include "db/schema.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <thread>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr const char* kVersion1 = R"sql(
CREATE TABLE meta (                          -- how far the database has followed the files
  key TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;

CREATE TABLE sweeps (
  sweep_id TEXT PRIMARY KEY CHECK (length(sweep_id) = 32),
  name TEXT NOT NULL,
  added_at REAL NOT NULL                     -- Unix time, seconds
) STRICT;

CREATE TABLE runs (
  run_id TEXT PRIMARY KEY CHECK (length(run_id) = 32),
  spec TEXT NOT NULL CHECK (json_valid(spec)),
  parent_run_id TEXT REFERENCES runs(run_id),
  params INTEGER NOT NULL CHECK (params > 0),
  gmacs_per_sample REAL NOT NULL CHECK (gmacs_per_sample > 0),
  segment_samples_seen INTEGER NOT NULL CHECK (segment_samples_seen > 0),
  samples_seen INTEGER NOT NULL CHECK (samples_seen >= segment_samples_seen),  -- with the ancestors'
  compute_gmacs REAL NOT NULL CHECK (compute_gmacs > 0),                       -- forward, with the ancestors'
  train_flops REAL NOT NULL CHECK (train_flops > 0),
  data_scale INTEGER NOT NULL,
  global_batch_size INTEGER NOT NULL,
  learning_rate REAL NOT NULL,
  schedule TEXT NOT NULL,
  seed INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'planned' CHECK (state IN
    ('planned', 'submitting', 'queued', 'running', 'completed', 'failed', 'diverged', 'cancelled')),
  failure_class TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  checkpoint TEXT NOT NULL DEFAULT '',
  final_loss REAL,
  train_seconds REAL NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE sweep_runs (                    -- which runs a sweep contains, under which names
  sweep_id TEXT NOT NULL REFERENCES sweeps(sweep_id),
  run_id TEXT NOT NULL REFERENCES runs(run_id),
  position INTEGER NOT NULL,
  model TEXT NOT NULL,
  dataset TEXT NOT NULL,
  curve TEXT NOT NULL,
  point_kind TEXT NOT NULL CHECK (point_kind IN ('final', 'cooldown')),
  coordinates TEXT NOT NULL CHECK (json_valid(coordinates)),
  PRIMARY KEY (sweep_id, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sweep_runs_by_run ON sweep_runs(run_id);

CREATE TABLE transitions (                   -- every change of a run's state
  transition_id INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES runs(run_id),
  at REAL NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX transitions_by_run ON transitions(run_id);

CREATE TABLE attempts (
  run_id TEXT NOT NULL REFERENCES runs(run_id),
  attempt INTEGER NOT NULL,
  executor TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started_at REAL NOT NULL,
  ended_at REAL,
  outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'interrupted', 'lost')),  -- NULL: still at work
  exit_code INTEGER,
  signal INTEGER,
  failure_class TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_open ON attempts(run_id) WHERE outcome IS NULL;

CREATE TABLE event_offsets (                 -- bytes of events.jsonl already taken in
  run_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (                        -- what trainers reported
  run_id TEXT NOT NULL REFERENCES runs(run_id),
  attempt INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  type TEXT NOT NULL,
  body TEXT NOT NULL CHECK (json_valid(body)),
  PRIMARY KEY (run_id, attempt, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
  eval_id TEXT PRIMARY KEY CHECK (length(eval_id) = 32),
  run_id TEXT NOT NULL REFERENCES runs(run_id),
  segment_samples_seen INTEGER NOT NULL,     -- which checkpoint of the run's own segment
  task TEXT NOT NULL,
  eval_dataset TEXT NOT NULL,
  spec TEXT NOT NULL CHECK (json_valid(spec)),
  seconds REAL NOT NULL
) STRICT;
CREATE INDEX evaluations_by_run ON evaluations(run_id);

CREATE TABLE measurements (
  eval_id TEXT NOT NULL REFERENCES evaluations(eval_id),
  metric TEXT NOT NULL,
  value REAL NOT NULL,
  sample_size INTEGER NOT NULL,              -- trials the value is a mean of; 0 unknown
  PRIMARY KEY (eval_id, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE imports (
  import_id TEXT PRIMARY KEY CHECK (length(import_id) = 32),
  name TEXT NOT NULL,
  format TEXT NOT NULL,
  rows INTEGER NOT NULL,
  added_at REAL NOT NULL
) STRICT;

CREATE TABLE imported_points (
  import_id TEXT NOT NULL REFERENCES imports(import_id),
  position INTEGER NOT NULL,
  curve TEXT NOT NULL,
  run TEXT NOT NULL,
  model TEXT NOT NULL,
  dataset TEXT NOT NULL,
  data_scale INTEGER,
  samples_seen INTEGER,
  gmacs_per_sample REAL,
  compute_gmacs REAL,
  train_flops REAL,
  params INTEGER,
  global_batch_size INTEGER,
  learning_rate REAL,
  seed INTEGER,
  schedule TEXT NOT NULL,
  point_kind TEXT NOT NULL,
  task TEXT NOT NULL,
  eval_dataset TEXT NOT NULL,
  metric TEXT NOT NULL,
  value REAL NOT NULL,
  sample_size INTEGER,
  PRIMARY KEY (import_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE fits (                          -- a cache of what `sweep run` reported last; `sweep fit` makes them anew
  fit_id TEXT PRIMARY KEY,
  sweep_id TEXT NOT NULL REFERENCES sweeps(sweep_id),
  report TEXT NOT NULL CHECK (json_valid(report)),
  made_at REAL NOT NULL
) STRICT;

-- One row a measurement with its coordinates: what fits are made of, and what people query.
CREATE VIEW points AS
SELECT DISTINCT
  sweep_runs.curve, runs.run_id AS run, sweep_runs.model, sweep_runs.dataset, runs.data_scale,
  runs.samples_seen - runs.segment_samples_seen + evaluations.segment_samples_seen AS samples_seen,
  runs.gmacs_per_sample,
  runs.compute_gmacs - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample
    AS compute_gmacs,
  runs.train_flops - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample * 6e9
    AS train_flops,
  runs.params, runs.global_batch_size, runs.learning_rate, runs.seed, runs.schedule,
  CASE WHEN evaluations.segment_samples_seen = runs.segment_samples_seen THEN sweep_runs.point_kind ELSE 'intermediate' END
    AS point_kind,
  evaluations.task, evaluations.eval_dataset, measurements.metric, measurements.value, measurements.sample_size
FROM measurements
JOIN evaluations USING (eval_id)
JOIN runs USING (run_id)
JOIN sweep_runs USING (run_id)
UNION ALL
SELECT curve, run, model, dataset, data_scale, samples_seen, gmacs_per_sample, compute_gmacs, train_flops, params,
  global_batch_size, learning_rate, seed, schedule, point_kind, task, eval_dataset, metric, value, sample_size
FROM imported_points;

-- One row a run, for people.
CREATE VIEW run_status AS
SELECT sweeps.name AS sweep, sweep_runs.position, runs.run_id, sweep_runs.model, sweep_runs.dataset,
  runs.samples_seen, runs.compute_gmacs, runs.state, runs.failure_class, runs.final_loss, runs.train_seconds,
  (SELECT max(attempt) FROM attempts WHERE attempts.run_id = runs.run_id) AS attempts
FROM sweep_runs JOIN sweeps USING (sweep_id) JOIN runs USING (run_id);

-- The loss curve.
CREATE VIEW training_steps AS
SELECT run_id, attempt, seq,
  json_extract(body, '$.samples_seen') AS samples_seen, json_extract(body, '$.loss') AS loss,
  json_extract(body, '$.learning_rate') AS learning_rate, json_extract(body, '$.logit_scale') AS logit_scale,
  json_extract(body, '$.samples_per_second') AS samples_per_second, json_extract(body, '$.data_wait') AS data_wait,
  json_extract(body, '$.mfu') AS mfu
FROM events WHERE type = 'step';
)sql";

constexpr const char* kVersion2 = R"sql(
ALTER TABLE attempts ADD COLUMN job TEXT NOT NULL DEFAULT '';  -- a scheduler's name for it
)sql";

constexpr const char* kVersion3 = R"sql(
ALTER TABLE attempts ADD COLUMN predicted_seconds REAL;        -- of training the whole run, as `sweep plan` would have said

-- How fast each attempt trained, from its first to its last step event: start-up does not count, checkpoints do.
CREATE VIEW attempt_rates AS
WITH span AS (
  SELECT run_id, attempt, min(seq) AS first, max(seq) AS last FROM events WHERE type = 'step'
  GROUP BY run_id, attempt HAVING max(seq) > min(seq)
), ends AS (
  SELECT span.run_id, span.attempt,
    json_extract(b.body, '$.samples_seen') - json_extract(a.body, '$.samples_seen') AS samples,
    json_extract(b.body, '$.at') - json_extract(a.body, '$.at') AS seconds
  FROM span
  JOIN events a ON a.run_id = span.run_id AND a.attempt = span.attempt AND a.seq = span.first
  JOIN events b ON b.run_id = span.run_id AND b.attempt = span.attempt AND b.seq = span.last
)
SELECT ends.run_id, ends.attempt, attempts.executor, attempts.host,
  (SELECT body FROM events WHERE events.run_id = ends.run_id AND events.attempt = ends.attempt AND type = 'started' LIMIT 1)
    AS started,
  1.0 * samples / seconds AS samples_per_second
FROM ends JOIN attempts USING (run_id, attempt) WHERE seconds > 0 AND samples > 0;
)sql";

constexpr const char* kVersion4 = R"sql(
ALTER TABLE attempts ADD COLUMN provenance TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(provenance));
)sql";

constexpr const char* kVersion5 = R"sql(
-- Of the longest segment of a run and its ancestors: what CLIPA's law of token length is about.
ALTER TABLE runs ADD COLUMN image_tokens INTEGER;
ALTER TABLE runs ADD COLUMN text_tokens INTEGER;
DROP VIEW points;
CREATE VIEW points AS
SELECT DISTINCT
  sweep_runs.curve, runs.run_id AS run, sweep_runs.model, sweep_runs.dataset, runs.data_scale,
  runs.samples_seen - runs.segment_samples_seen + evaluations.segment_samples_seen AS samples_seen,
  runs.gmacs_per_sample,
  runs.compute_gmacs - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample
    AS compute_gmacs,
  runs.train_flops - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample * 6e9
    AS train_flops,
  runs.params, runs.image_tokens, runs.text_tokens, runs.global_batch_size, runs.learning_rate, runs.seed, runs.schedule,
  CASE WHEN evaluations.segment_samples_seen = runs.segment_samples_seen THEN sweep_runs.point_kind ELSE 'intermediate' END
    AS point_kind,
  evaluations.task, evaluations.eval_dataset, measurements.metric, measurements.value, measurements.sample_size
FROM measurements
JOIN evaluations USING (eval_id)
JOIN runs USING (run_id)
JOIN sweep_runs USING (run_id)
UNION ALL
SELECT curve, run, model, dataset, data_scale, samples_seen, gmacs_per_sample, compute_gmacs, train_flops, params,
  NULL AS image_tokens, NULL AS text_tokens, global_batch_size, learning_rate, seed, schedule, point_kind, task, eval_dataset, metric, value, sample_size
FROM imported_points;
)sql";

constexpr const char* kVersion6 = R"sql(
-- What chose a sweep's runs by the results of earlier ones: fits to such points say so.
ALTER TABLE sweeps ADD COLUMN chosen_by TEXT NOT NULL DEFAULT '';
DROP VIEW points;
CREATE VIEW points AS
SELECT DISTINCT
  sweep_runs.curve, runs.run_id AS run, sweep_runs.model, sweep_runs.dataset, runs.data_scale,
  runs.samples_seen - runs.segment_samples_seen + evaluations.segment_samples_seen AS samples_seen,
  runs.gmacs_per_sample,
  runs.compute_gmacs - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample
    AS compute_gmacs,
  runs.train_flops - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample * 6e9
    AS train_flops,
  runs.params, runs.image_tokens, runs.text_tokens, runs.global_batch_size, runs.learning_rate, runs.seed, runs.schedule,
  CASE WHEN evaluations.segment_samples_seen = runs.segment_samples_seen THEN sweep_runs.point_kind ELSE 'intermediate' END
    AS point_kind,
  EXISTS (SELECT 1 FROM sweep_runs AS listed JOIN sweeps USING (sweep_id)
    WHERE listed.run_id = runs.run_id AND sweeps.chosen_by <> '') AS chosen,
  evaluations.task, evaluations.eval_dataset, measurements.metric, measurements.value, measurements.sample_size
FROM measurements
JOIN evaluations USING (eval_id)
JOIN runs USING (run_id)
JOIN sweep_runs USING (run_id)
UNION ALL
SELECT curve, run, model, dataset, data_scale, samples_seen, gmacs_per_sample, compute_gmacs, train_flops, params,
  NULL AS image_tokens, NULL AS text_tokens, global_batch_size, learning_rate, seed, schedule, point_kind, 0 AS chosen, task,
  eval_dataset, metric, value, sample_size
FROM imported_points;
)sql";

constexpr const char* kVersion7 = R"sql(
-- How many runs of a sweep stand where, a row a cell of its grid and state: what `sweep status` says of many runs.
CREATE TABLE sweep_cells (
  sweep_id TEXT NOT NULL REFERENCES sweeps(sweep_id),
  model TEXT NOT NULL,
  gmacs_per_sample REAL NOT NULL,
  samples_seen INTEGER NOT NULL,             -- with the ancestors'
  state TEXT NOT NULL,
  runs INTEGER NOT NULL,
  compute_gmacs REAL NOT NULL,               -- of all of them, with the ancestors'
  train_seconds REAL NOT NULL,               -- likewise
  PRIMARY KEY (sweep_id, model, gmacs_per_sample, samples_seen, state)
) STRICT, WITHOUT ROWID;
INSERT INTO sweep_cells
SELECT sweep_id, model, gmacs_per_sample, samples_seen, state, count(*), sum(compute_gmacs), sum(train_seconds)
FROM sweep_runs JOIN runs USING (run_id) GROUP BY 1, 2, 3, 4, 5;

CREATE TRIGGER sweep_cells_of_new_run AFTER INSERT ON sweep_runs BEGIN
  INSERT INTO sweep_cells
  SELECT NEW.sweep_id, NEW.model, gmacs_per_sample, samples_seen, state, 1, compute_gmacs, train_seconds
  FROM runs WHERE run_id = NEW.run_id
  ON CONFLICT DO UPDATE SET runs = runs + 1, compute_gmacs = compute_gmacs + excluded.compute_gmacs,
    train_seconds = train_seconds + excluded.train_seconds;
END;
CREATE TRIGGER sweep_cells_of_changed_run AFTER UPDATE OF state, train_seconds ON runs
WHEN OLD.state <> NEW.state OR OLD.train_seconds <> NEW.train_seconds BEGIN
  UPDATE sweep_cells SET runs = sweep_cells.runs - 1, compute_gmacs = sweep_cells.compute_gmacs - OLD.compute_gmacs,
    train_seconds = sweep_cells.train_seconds - OLD.train_seconds
  FROM sweep_runs
  WHERE sweep_runs.run_id = OLD.run_id AND sweep_cells.sweep_id = sweep_runs.sweep_id
    AND sweep_cells.model = sweep_runs.model AND sweep_cells.gmacs_per_sample = OLD.gmacs_per_sample
    AND sweep_cells.samples_seen = OLD.samples_seen AND sweep_cells.state = OLD.state;
  INSERT INTO sweep_cells
  SELECT sweep_id, model, NEW.gmacs_per_sample, NEW.samples_seen, NEW.state, 1, NEW.compute_gmacs, NEW.train_seconds
  FROM sweep_runs WHERE run_id = NEW.run_id
  ON CONFLICT DO UPDATE SET runs = runs + 1, compute_gmacs = compute_gmacs + excluded.compute_gmacs,
    train_seconds = train_seconds + excluded.train_seconds;
  DELETE FROM sweep_cells WHERE runs = 0;  -- with what rounding left in its sums
END;

CREATE INDEX runs_with_message ON runs(run_id) WHERE message <> '';
)sql";

constexpr const char* kVersion8 = R"sql(
-- What decides how fast a run trains on a given machine, each combination once.
CREATE TABLE workloads (
  workload_id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,                       -- canonical JSON, as are the others' objects
  precision TEXT NOT NULL,
  reduction TEXT NOT NULL,
  UNIQUE (model, precision, reduction)
) STRICT;
CREATE VIEW run_workloads AS
SELECT run_id, json_extract(spec, '$.model') AS model, coalesce(json_extract(spec, '$.precision'), 'fp32') AS precision,
  coalesce(json_extract(spec, '$.reduction'), '{}') AS reduction FROM runs;

-- What the events of an attempt say of its speed, so that nobody has to read them all. Whatever a trainer writes there
-- is taken, so values are cast.
CREATE TABLE attempt_work (
  run_id TEXT NOT NULL REFERENCES runs(run_id),
  attempt INTEGER NOT NULL,
  workload_id INTEGER NOT NULL REFERENCES workloads(workload_id),
  device TEXT NOT NULL DEFAULT '',           -- as the trainer named it; '' and 0: it did not say
  threads INTEGER NOT NULL DEFAULT 0,
  processes INTEGER NOT NULL DEFAULT 1,
  started_at REAL,                           -- the trainer, by its own clock
  first_step_at REAL,
  first_step_samples INTEGER,
  last_step_at REAL,
  last_step_samples INTEGER,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER attempt_work_of_event AFTER INSERT ON events WHEN NEW.type IN ('started', 'step') BEGIN
  INSERT OR IGNORE INTO workloads (model, precision, reduction)
  SELECT model, precision, reduction FROM run_workloads WHERE run_id = NEW.run_id
    AND NOT EXISTS (SELECT 1 FROM attempt_work WHERE run_id = NEW.run_id AND attempt = NEW.attempt);
  INSERT INTO attempt_work (run_id, attempt, workload_id)
  SELECT run_id, NEW.attempt, workload_id FROM run_workloads JOIN workloads USING (model, precision, reduction)
  WHERE run_id = NEW.run_id
    AND NOT EXISTS (SELECT 1 FROM attempt_work WHERE run_id = NEW.run_id AND attempt = NEW.attempt);
  UPDATE attempt_work SET device = coalesce(CAST(json_extract(NEW.body, '$.device') AS TEXT), ''),
    threads = coalesce(CAST(json_extract(NEW.body, '$.threads') AS INTEGER), 0),
    processes = coalesce(CAST(json_extract(NEW.body, '$.processes') AS INTEGER), 1),
    started_at = CAST(json_extract(NEW.body, '$.at') AS REAL)
  WHERE run_id = NEW.run_id AND attempt = NEW.attempt AND NEW.type = 'started' AND started_at IS NULL;
  UPDATE attempt_work SET first_step_at = coalesce(first_step_at, CAST(json_extract(NEW.body, '$.at') AS REAL)),
    first_step_samples = coalesce(first_step_samples, CAST(json_extract(NEW.body, '$.samples_seen') AS INTEGER)),
    last_step_at = CAST(json_extract(NEW.body, '$.at') AS REAL),
    last_step_samples = CAST(json_extract(NEW.body, '$.samples_seen') AS INTEGER)
  WHERE run_id = NEW.run_id AND attempt = NEW.attempt AND NEW.type = 'step';
END;

INSERT INTO workloads (model, precision, reduction) SELECT DISTINCT model, precision, reduction FROM run_workloads;
INSERT INTO attempt_work
SELECT told.run_id, told.attempt, workload_id, coalesce(CAST(json_extract(started.body, '$.device') AS TEXT), ''),
  coalesce(CAST(json_extract(started.body, '$.threads') AS INTEGER), 0),
  coalesce(CAST(json_extract(started.body, '$.processes') AS INTEGER), 1),
  CAST(json_extract(started.body, '$.at') AS REAL), CAST(json_extract(first.body, '$.at') AS REAL),
  CAST(json_extract(first.body, '$.samples_seen') AS INTEGER),
  CAST(json_extract(last.body, '$.at') AS REAL), CAST(json_extract(last.body, '$.samples_seen') AS INTEGER)
FROM (SELECT run_id, attempt, min(seq) FILTER (WHERE type = 'started') AS start, min(seq) FILTER (WHERE type = 'step') AS first,
    max(seq) FILTER (WHERE type = 'step') AS last FROM events GROUP BY run_id, attempt) AS told
JOIN run_workloads USING (run_id) JOIN workloads USING (model, precision, reduction)
LEFT JOIN events AS started ON (started.run_id, started.attempt, started.seq) = (told.run_id, told.attempt, told.start)
LEFT JOIN events AS first ON (first.run_id, first.attempt, first.seq) = (told.run_id, told.attempt, told.first)
LEFT JOIN events AS last ON (last.run_id, last.attempt, last.seq) = (told.run_id, told.attempt, told.last);

-- How fast each attempt trained, from its first to its last step event: start-up does not count, checkpoints do.
DROP VIEW attempt_rates;
CREATE VIEW attempt_rates AS
SELECT run_id, attempt, executor, host, workload_id, device, threads, processes,
  1.0 * (last_step_samples - first_step_samples) / (last_step_at - first_step_at) AS samples_per_second
FROM attempt_work JOIN attempts USING (run_id, attempt)
WHERE last_step_at > first_step_at AND last_step_samples > first_step_samples;
)sql";

constexpr const char* kVersion9 = R"sql(
-- The learning rate's schedule with the ancestors': 'constant+cosine' (db/point_labels.h says how it is made).
WITH RECURSIVE whole(run_id, schedule) AS (
  SELECT run_id, schedule FROM runs WHERE parent_run_id IS NULL
  UNION ALL
  SELECT runs.run_id, CASE
    WHEN '+' || whole.schedule LIKE '%+' || runs.schedule THEN whole.schedule
    WHEN '+' || whole.schedule LIKE '%+constant' AND runs.schedule = 'constant_cooldown' THEN whole.schedule || '_cooldown'
    ELSE whole.schedule || '+' || runs.schedule END
  FROM runs JOIN whole ON runs.parent_run_id = whole.run_id
)
UPDATE runs SET schedule = whole.schedule FROM whole WHERE whole.run_id = runs.run_id AND whole.schedule <> runs.schedule;
CREATE INDEX runs_by_parent ON runs(parent_run_id) WHERE parent_run_id IS NOT NULL;

-- A job that its scheduler queued again is the same attempt, and what it waited for that is not work.
CREATE INDEX events_of_restarts ON events(run_id, attempt, seq) WHERE type = 'started' AND seq > 1;
CREATE VIEW attempt_waits AS
SELECT run_id, attempt, sum(CAST(json_extract(again.body, '$.at') AS REAL) - CAST(json_extract(before.body, '$.at') AS REAL))
  AS seconds
FROM events AS again JOIN events AS before USING (run_id, attempt)
WHERE again.type = 'started' AND again.seq > 1 AND before.seq = (SELECT max(seq) FROM events AS earlier
  WHERE (earlier.run_id, earlier.attempt) = (again.run_id, again.attempt) AND earlier.seq < again.seq)
GROUP BY run_id, attempt;
DROP VIEW attempt_rates;
CREATE VIEW attempt_rates AS
SELECT run_id, attempt, executor, host, workload_id, device, threads, processes,
  1.0 * (last_step_samples - first_step_samples) / (last_step_at - first_step_at - coalesce(attempt_waits.seconds, 0)) AS samples_per_second
FROM attempt_work JOIN attempts USING (run_id, attempt) LEFT JOIN attempt_waits USING (run_id, attempt)
WHERE last_step_at - first_step_at > coalesce(attempt_waits.seconds, 0) AND last_step_samples > first_step_samples;

-- A run of constant rate that branches left to cool down says nothing of a whole recipe: its end is of the kind 'trunk'.
DROP VIEW points;
CREATE VIEW points AS
SELECT DISTINCT
  sweep_runs.curve, runs.run_id AS run, sweep_runs.model, sweep_runs.dataset, runs.data_scale,
  runs.samples_seen - runs.segment_samples_seen + evaluations.segment_samples_seen AS samples_seen,
  runs.gmacs_per_sample,
  runs.compute_gmacs - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample
    AS compute_gmacs,
  runs.train_flops - (runs.segment_samples_seen - evaluations.segment_samples_seen) * runs.gmacs_per_sample * 6e9
    AS train_flops,
  runs.params, runs.image_tokens, runs.text_tokens, runs.global_batch_size, runs.learning_rate, runs.seed, runs.schedule,
  CASE
    WHEN evaluations.segment_samples_seen <> runs.segment_samples_seen THEN 'intermediate'
    WHEN EXISTS (SELECT 1 FROM runs AS branch JOIN sweep_runs AS listed USING (run_id)
      WHERE branch.parent_run_id = runs.run_id AND listed.point_kind = 'cooldown') THEN 'trunk'
    ELSE sweep_runs.point_kind END AS point_kind,
  EXISTS (SELECT 1 FROM sweep_runs AS listed JOIN sweeps USING (sweep_id)
    WHERE listed.run_id = runs.run_id AND sweeps.chosen_by <> '') AS chosen,
  evaluations.task, evaluations.eval_dataset, measurements.metric, measurements.value, measurements.sample_size
FROM measurements
JOIN evaluations USING (eval_id)
JOIN runs USING (run_id)
JOIN sweep_runs USING (run_id)
UNION ALL
SELECT curve, run, model, dataset, data_scale, samples_seen, gmacs_per_sample, compute_gmacs, train_flops, params,
  NULL AS image_tokens, NULL AS text_tokens, global_batch_size, learning_rate, seed, schedule, point_kind, 0 AS chosen, task,
  eval_dataset, metric, value, sample_size
FROM imported_points;
)sql";

constexpr const char* kVersion10 = R"sql(
-- Whose files carry no checksum, so that damage to them would not be noticed; of earlier ones that is not known.
CREATE TABLE IF NOT EXISTS unchecked_evaluations (
  eval_id TEXT PRIMARY KEY REFERENCES evaluations(eval_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO unchecked_evaluations SELECT eval_id FROM evaluations;
)sql";

// Entry i brings version i to i + 1. Never edit one that has been released: add the next.
constexpr std::array<const char*, 10> kMigrations = {kVersion1,
                                                     kVersion2,
                                                     kVersion3,
                                                     kVersion4,
                                                     kVersion5,
                                                     kVersion6,
                                                     kVersion7,
                                                     kVersion8,
                                                     kVersion9,
                                                     kVersion10};

int StoredVersion(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

// A store in the making has its database a moment before its tables.
int VersionOfWhole(SQLite::Database& database) {
  constexpr auto kPatience = std::chrono::seconds(5);
  constexpr auto kLookEvery = std::chrono::milliseconds(20);
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (StoredVersion(database) == 0 && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(kLookEvery);
  return StoredVersion(database);
}

[[noreturn]] void ThrowVersion(const SQLite::Database& database, int version, const char* advice) {
  throw Failure(FailureCode::kDatabase,
                fmt::format("{} has schema version {}, this program knows {}: {}",
                            database.getFilename(),
                            version,
                            SchemaVersion(),
                            advice));
}

}  // namespace

int SchemaVersion() {
  return static_cast<int>(kMigrations.size());
}

void Migrate(SQLite::Database& database) {
  const int version = StoredVersion(database);
  if (version > SchemaVersion())
    ThrowVersion(database, version, "use the newer sweep that wrote it");
  if (version == SchemaVersion()) return;
  SQLite::Transaction transaction(database);
  for (size_t i = static_cast<size_t>(version); i < kMigrations.size(); ++i)
    database.exec(kMigrations.at(i));
  database.exec(fmt::format("PRAGMA user_version = {}", SchemaVersion()));
  transaction.commit();
}

void RequireCurrentSchema(SQLite::Database& database) {
  const int version = VersionOfWhole(database);
  if (version > SchemaVersion())
    ThrowVersion(database, version, "use the newer sweep that wrote it");
  if (version < SchemaVersion())
    ThrowVersion(database, version, "`sweep run` or `sweep db rebuild` brings it up to date");
}

}  // namespace sweep
