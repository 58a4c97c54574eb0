#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/json.h"
#include "core/run_directory.h"
#include "core/run_spec.h"
#include "db/coordinates.h"
#include "db/run_state.h"

namespace sweep {

/// One run as a sweep wants it: identity, arithmetic and labels. Totals include the run's
/// ancestors.
struct RunRow {
  std::string run_id;
  RunSpec spec;
  int64_t params = 0;
  double gmacs_per_sample = 0;     ///< forward, both towers
  int64_t total_samples_seen = 0;  ///< of the run and its ancestors
  double compute_gmacs = 0;        ///< forward, of the run and its ancestors
  double train_flops = 0;          ///< of the run and its ancestors
  int64_t image_tokens = 0;        ///< an image, class token included, in the longest segment of
                                   ///< the run and its ancestors
  int64_t text_tokens = 0;         ///< a caption, start and end included, likewise
  std::string model;               ///< label
  std::string dataset;             ///< label
  std::string curve;               ///< label: which family of points the run belongs to
  /// Of its last checkpoint: `final`, or `cooldown` for a branch of a trunk. That a run is a trunk
  /// its branches say (db/point_labels.h).
  std::string point_kind = "final";
  Coordinates coordinates;  ///< every field of the sweep file, as requested
  std::vector<EvaluationRequest> evaluations;
};

/// One sweep file, expanded.
struct SweepRow {
  std::string sweep_id;  ///< content id of the expanded record
  std::string name;
  std::vector<RunRow> runs;    ///< parents before children
  std::string chosen_by = {};  ///< what chose the runs by earlier results; empty: nothing did
};

/// A run's state as the store has it.
struct RunRecord {
  std::string run_id;
  RunState state = RunState::kPlanned;
  std::string failure_class;
  std::string message;
  int64_t attempts = 0;    ///< number of the latest attempt; 0 when none was started
  std::string checkpoint;  ///< folder relative to the run's; empty when there is none
  std::optional<double> final_loss;
  double train_seconds = 0;
  int64_t segment_samples_seen = 0;  ///< of the run's own segment
  int64_t total_samples_seen = 0;    ///< of the run and its ancestors
};

/// Where runs stand, by id, and ids alone: many are looked up, in no order.
using RunStates = std::unordered_map<std::string, RunState>;
using IdSet = std::unordered_set<std::string>;

/// Newest numbers of a run in progress, from its events.
struct RunProgress {
  int64_t samples_seen = 0;
  double samples_per_second = 0;
  std::optional<double> loss;  ///< absent where it was not finite
};

/// An attempt that has started and of which no end is recorded.
struct OpenAttempt {
  std::string run_id;
  int64_t attempt = 0;
  std::string executor;
  std::string host;  ///< empty for a job of a scheduler
  int64_t pid = 0;   ///< 0 for a job of a scheduler
  std::string job;   ///< the scheduler's name for it; empty for a process
  std::optional<double> predicted_seconds = std::nullopt;  ///< of training the whole run
  Json provenance = Json::object();  ///< of the program that started it: build, machine, command
};

/// How fast attempts trained that had the same work to do with the same means.
struct MeasuredRates {
  std::string model;                       ///< canonical JSON of the runs' ModelSpec
  std::string precision;                   ///< of the runs
  std::string reduction;                   ///< canonical JSON of their TokenReductionSpec
  std::string device;                      ///< as the trainer named it; empty where it did not
  int64_t threads = 0;                     ///< of each process; 0 where the trainer did not say
  int64_t processes = 1;                   ///< that shared every batch
  std::vector<double> samples_per_second;  ///< of each attempt
};

/// How long an attempt worked, from the trainer's start to its end or to now. An attempt that waits
/// in a scheduler's queue has worked for no time.
struct AttemptSpan {
  std::string run_id;
  int64_t attempt = 0;
  std::string executor;
  std::string host;       ///< as in AttemptRate
  std::string device;     ///< as the trainer named it; empty where it did not
  int64_t threads = 0;    ///< of each process; 0 where the trainer did not say
  int64_t processes = 1;  ///< each with a device of its own
  bool open = false;      ///< no end is recorded
  double started_at = 0;  ///< Unix time
  double seconds = 0;

  [[nodiscard]] bool on_gpu() const { return device.starts_with("cuda"); }
};

/// What a trainer said of its own failure.
struct ReportedFailure {
  std::string failure_class;
  std::string message;
};

/// How an attempt ended.
struct AttemptEnd {
  std::string outcome;  ///< `succeeded`, `failed`, `interrupted` or `lost`
  std::optional<int> exit_code;
  std::optional<int> signal;
  std::string failure_class;
  std::string message;
};

/// One row of an imported table; absent values stay absent.
struct ImportedPoint {
  std::string curve, run, model, dataset, schedule, point_kind, task, eval_dataset, metric;
  std::optional<int64_t> data_scale, samples_seen, params, global_batch_size, seed, sample_size;
  std::optional<double> gmacs_per_sample, compute_gmacs, train_flops, learning_rate;
  double value = 0;
};

/// A query's result as text: what `export`, `fit` and people read. Empty cells are NULL.
struct QueryTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

}  // namespace sweep
