#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/json_fields.h"
#include "db/records.h"

namespace sweep {

template <class Visitor>
void VisitFields(Visitor& visit, RunRow& s) {
  visit("run_id", s.run_id);
  visit("spec", s.spec);
  visit("params", s.params);
  visit("gmacs_per_sample", s.gmacs_per_sample);
  visit("total_samples_seen", s.total_samples_seen);
  visit("compute_gmacs", s.compute_gmacs);
  visit("train_flops", s.train_flops);
  visit("image_tokens", s.image_tokens, 0);
  visit("text_tokens", s.text_tokens, 0);
  visit("model", s.model);
  visit("dataset", s.dataset);
  visit("curve", s.curve);
  visit("point_kind", s.point_kind, "final");
  visit("coordinates", s.coordinates);
  visit("evaluations", s.evaluations);
}

template <class Visitor>
void VisitFields(Visitor& visit, SweepRow& s) {
  visit("sweep_id", s.sweep_id, "");
  visit("name", s.name);
  visit("chosen_by", s.chosen_by, "");
  visit("runs", s.runs);
}

template <class Visitor>
void VisitFields(Visitor& visit, ImportedPoint& s) {
  visit("curve", s.curve, "");
  visit("run", s.run, "");
  visit("model", s.model, "");
  visit("dataset", s.dataset, "");
  visit("schedule", s.schedule, "");
  visit("point_kind", s.point_kind, "");
  visit("task", s.task, "");
  visit("eval_dataset", s.eval_dataset, "");
  visit("metric", s.metric, "");
  visit("data_scale", s.data_scale);
  visit("samples_seen", s.samples_seen);
  visit("params", s.params);
  visit("global_batch_size", s.global_batch_size);
  visit("seed", s.seed);
  visit("sample_size", s.sample_size);
  visit("gmacs_per_sample", s.gmacs_per_sample);
  visit("compute_gmacs", s.compute_gmacs);
  visit("train_flops", s.train_flops);
  visit("learning_rate", s.learning_rate);
  visit("value", s.value);
}

/// `sweeps/ID.json`: a sweep as it was expanded, complete: reading it needs no other file.
struct StoredSweep {
  std::string schema = "sweep.expanded/1";
  double added_at = 0;  ///< Unix time, seconds
  Json source;          ///< the sweep file's document when the sweep was first added
  SweepRow sweep;
};

/// `imports/ID/import.json`: an imported table, normalised.
struct StoredImport {
  std::string schema = "sweep.import/1";
  std::string import_id;
  double added_at = 0;
  std::string name;    ///< of the source file
  std::string format;  ///< which reader understood it
  std::vector<ImportedPoint> points;
};

template <class Visitor>
void VisitFields(Visitor& visit, StoredSweep& s) {
  visit("schema", s.schema);
  visit("added_at", s.added_at);
  visit("source", s.source, Json());
  visit("sweep", s.sweep);
}

template <class Visitor>
void VisitFields(Visitor& visit, StoredImport& s) {
  visit("schema", s.schema);
  visit("import_id", s.import_id);
  visit("added_at", s.added_at);
  visit("name", s.name);
  visit("format", s.format);
  visit("points", s.points);
}

/// The id of a sweep: the hash of all its other fields. `sweep.sweep_id` is empty for a moment.
[[nodiscard]] std::string SweepIdOf(SweepRow& sweep);
/// The id of an imported table: the hash of its points.
[[nodiscard]] std::string ImportIdOf(const StoredImport& import);

/// Reads `sweeps/ID.json` run by run: as one document many runs take several times their memory.
/// Throws Failure(kUsage) naming the file when it is absent or malformed, or when its content does
/// not have the id in its name.
[[nodiscard]] StoredSweep ReadStoredSweep(const std::filesystem::path& path);

/// Reads `imports/ID/import.json`; throws as ReadStoredSweep.
[[nodiscard]] StoredImport ReadStoredImport(const std::filesystem::path& path);

}  // namespace sweep
