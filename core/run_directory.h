#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/evaluation_spec.h"
#include "core/json.h"
#include "core/run_spec.h"

namespace sweep {

/// A checkpoint as its folder's name tells of it; its files may be damaged.
struct CheckpointFolder {
  int64_t samples_seen = 0;  ///< of the run's own segment
  std::filesystem::path path;
};

/// How many of the newest checkpoints of a run are kept, whoever cleans up: the one before the last
/// is there in case that is damaged.
inline constexpr size_t kNewestCheckpointsKept = 2;

/// Names of the files in one run's folder: the contract between `sweep` and any trainer
/// (docs/run_directory.md).
class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path spec() const { return root_ / "spec.json"; }
  [[nodiscard]] std::filesystem::path result() const { return root_ / "result.json"; }
  [[nodiscard]] std::filesystem::path lock() const { return root_ / "lock"; }
  [[nodiscard]] std::filesystem::path evaluations() const { return root_ / "evaluations"; }
  [[nodiscard]] std::filesystem::path evaluation(const std::string& eval_id) const {
    return evaluations() / (eval_id + ".json");
  }
  [[nodiscard]] std::filesystem::path attempts() const { return root_ / "attempts"; }
  [[nodiscard]] std::filesystem::path attempt(int64_t number) const {
    return attempts() / std::to_string(number);
  }
  [[nodiscard]] std::filesystem::path request(int64_t number) const {
    return attempt(number) / "attempt.json";
  }
  [[nodiscard]] std::filesystem::path events(int64_t number) const {
    return attempt(number) / "events.jsonl";
  }
  [[nodiscard]] std::filesystem::path checkpoints(int64_t number) const {
    return attempt(number) / "checkpoints";
  }

  /// Numbers of the attempts that exist, ascending.
  [[nodiscard]] std::vector<int64_t> AttemptNumbers() const;

  /// The number of the next attempt, when `latest` (0: none) is the last that is known from
  /// elsewhere: above both, and nothing has its folder's name.
  [[nodiscard]] int64_t NextAttempt(int64_t latest) const;

  /// Checkpoints of all attempts by their folders' names, most samples first; a later attempt's
  /// first.
  [[nodiscard]] std::vector<CheckpointFolder> CheckpointFolders() const;

 private:
  std::filesystem::path root_;
};

/// Name of a checkpoint's folder: samples_seen of the run's own segment in twelve digits, so that
/// names sort by it.
[[nodiscard]] std::string CheckpointName(int64_t samples_seen);

/// One evaluation asked of an attempt.
struct EvaluationRequest {
  std::string eval_id;
  std::string eval_dataset;  ///< label, as in the sweep file
  int64_t samples_seen = 0;  ///< of the run's own segment: which checkpoint
  EvaluationSpec spec;
};

/// `attempts/N/attempt.json`, written by `sweep` before it starts the trainer: everything the work
/// needs that does not decide the weights.
struct AttemptRequest {
  std::string schema = "sweep.attempt/1";
  std::string run_id;
  int64_t attempt = 0;
  std::string device = "auto";     ///< `auto`, `cpu` or `cuda`
  int64_t threads = 1;             ///< of each process; a resumed run keeps those of its checkpoint
  int64_t processes = 1;           ///< that share every batch; each has its own device
  std::string launcher;            ///< what starts them: `srun`, or empty: the trainer itself
  int64_t micro_batch = 0;         ///< pairs encoded at a time to save memory; 0: the whole batch
  std::string recompute = "none";  ///< activations computed again in the backward pass: `none`,
                                   ///< `cheap` (norms, GELU) or `blocks` (all but block inputs)
  std::string sharding = "none";   ///< what the processes share out: `none`, `optimizer` or
                                   ///< `weights`; checkpoints do not depend on it
  bool cuda_graphs = false;        ///< a step is recorded once and repeated, where that can be done
  int64_t data_threads = 1;        ///< that read and decode images
  std::map<std::string, std::string> locations;  ///< content id -> file or folder on this machine
  double checkpoint_every_seconds = 300;
  double lock_wait_seconds = 0;  ///< for another trainer of the run to end
  std::vector<int64_t> keep_at;  ///< samples_seen whose checkpoints a child or an evaluation needs
  std::vector<EvaluationRequest> evaluations;
};

/// The most that is read of one of the files below, which are a few kB.
inline constexpr int64_t kMostRecordBytes = int64_t{1} << 20;

/// `result.json`: training ended, for good. Published once; a run without it is not done.
struct RunResult {
  std::string schema = "sweep.result/1";
  std::string run_id;
  int64_t attempt = 0;
  std::string outcome;  ///< `completed` or `diverged`
  int64_t samples_seen = 0;
  std::optional<double> final_loss;  ///< nats, mean of the last logged steps
  double train_seconds = 0;          ///< summed over the attempts that made this run
  std::string checkpoint;            ///< folder relative to the run's; empty when diverged
  std::string message;
};

struct MetricValue {
  double value = 0;
  int64_t sample_size = 0;  ///< number of independent trials the value is a mean of
};

/// `evaluations/EVAL_ID.json`, published once.
struct EvaluationResult {
  std::string schema = "sweep.evaluation/1";
  std::string eval_id;
  std::string run_id;
  int64_t samples_seen = 0;
  std::string eval_dataset;
  EvaluationSpec spec;
  std::map<std::string, MetricValue> metrics;
  double seconds = 0;
  bool checked = false;  ///< no member: its file carried a checksum, and that holds
};

template <class Visitor>
void VisitFields(Visitor& visit, EvaluationRequest& s) {
  visit("eval_id", s.eval_id);
  visit("eval_dataset", s.eval_dataset);
  visit("samples_seen", s.samples_seen);
  visit("spec", s.spec);
}

template <class Visitor>
void VisitFields(Visitor& visit, AttemptRequest& s) {
  visit("schema", s.schema);
  visit("run_id", s.run_id);
  visit("attempt", s.attempt);
  visit("device", s.device, "auto");
  visit("threads", s.threads, 1);
  visit("processes", s.processes, 1);
  visit("launcher", s.launcher, "");
  visit("micro_batch", s.micro_batch, 0);
  visit("recompute", s.recompute, "none");
  visit("sharding", s.sharding, "none");
  visit("cuda_graphs", s.cuda_graphs, false);
  visit("data_threads", s.data_threads, 1);
  visit("locations", s.locations);
  visit("checkpoint_every_seconds", s.checkpoint_every_seconds, 300.0);
  visit("lock_wait_seconds", s.lock_wait_seconds, 0.0);
  visit("keep_at", s.keep_at);
  visit("evaluations", s.evaluations);
}

template <class Visitor>
void VisitFields(Visitor& visit, RunResult& s) {
  visit("schema", s.schema);
  visit("run_id", s.run_id);
  visit("attempt", s.attempt);
  visit("outcome", s.outcome);
  visit("samples_seen", s.samples_seen);
  visit("final_loss", s.final_loss);
  visit("train_seconds", s.train_seconds, 0.0);
  visit("checkpoint", s.checkpoint, "");
  visit("message", s.message, "");
}

template <class Visitor>
void VisitFields(Visitor& visit, MetricValue& s) {
  visit("value", s.value);
  visit("sample_size", s.sample_size, 0);
}

template <class Visitor>
void VisitFields(Visitor& visit, EvaluationResult& s) {
  visit("schema", s.schema);
  visit("eval_id", s.eval_id);
  visit("run_id", s.run_id);
  visit("samples_seen", s.samples_seen);
  visit("eval_dataset", s.eval_dataset);
  visit("spec", s.spec);
  visit("metrics", s.metrics);
  visit("seconds", s.seconds, 0.0);
}

/// The text of spec.json for a run.
[[nodiscard]] std::string SpecFileText(const RunSpec& spec);

/// Reads spec.json and checks that it is what its run_id says. Throws Malformed.
[[nodiscard]] RunSpec ReadSpecFile(const RunDirectory& directory);

/// Reads attempt.json, whose schema must be the version that this program writes. Throws Malformed.
[[nodiscard]] AttemptRequest ReadAttemptRequest(const RunDirectory& directory, int64_t attempt);

/// The texts of the files that trainers publish, with their checksum (core/sealed_json.h).
[[nodiscard]] std::string ResultFileText(const RunResult& result);
[[nodiscard]] std::string EvaluationFileText(const EvaluationResult& evaluation);

/// nullopt when the run has no result yet. Throws Malformed, naming the file, for one that is
/// damaged, that no run could have left, or whose checkpoint is not below the run's folder.
[[nodiscard]] std::optional<RunResult> ReadResult(const RunDirectory& directory);

/// The same of a run that is known, whose own segment has `samples_seen`. Throws Malformed also for
/// another run's result and for a completed one after fewer or more samples.
[[nodiscard]] std::optional<RunResult> ReadResultOf(const RunDirectory& directory,
                                                    const std::string& run_id,
                                                    int64_t samples_seen);

/// Throws Malformed when the result names a checkpoint that is not there.
void RequireCheckpoint(const RunDirectory& directory, const RunResult& result);

/// Reads the evaluation whose id is the file's name. Throws Malformed for one that is damaged or
/// whose numbers cannot be: ids that are not its content's, metrics that are not finite, or beyond
/// 0 to 1 where docs/run_directory.md defines them.
[[nodiscard]] EvaluationResult ReadEvaluationResult(const std::filesystem::path& path);

}  // namespace sweep
