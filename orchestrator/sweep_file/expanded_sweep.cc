#include "orchestrator/sweep_file/expanded_sweep.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"
#include "core/json_fields.h"

namespace sweep {
namespace {

constexpr const char* kSchema = "sweep.expanded/1";

struct Record {
  std::string schema = kSchema;
  std::string name;
  Json source;
  std::vector<ExpandedRun> runs;
};

}  // namespace

template <class Visitor>
void VisitFields(Visitor& visit, PlannedEvaluation& s) {
  visit("eval_id", s.eval_id);
  visit("name", s.name);
  visit("point_kind", s.point_kind, "final");
  visit("samples_seen", s.samples_seen);
  visit("spec", s.spec);
}

template <class Visitor>
void VisitFields(Visitor& visit, ExpandedRun& s) {
  visit("run_id", s.run_id);
  visit("spec", s.spec);
  visit("model", s.model);
  visit("dataset", s.dataset);
  visit("curve", s.curve);
  visit("requested_samples", s.requested_samples);
  visit("coordinates", s.coordinates);
  visit("parent_run_id", s.parent_run_id, "");
  visit("keep_at", s.keep_at, std::vector<int64_t>());
  visit("evaluations", s.evaluations, std::vector<PlannedEvaluation>());
  visit("params", s.params);
  visit("gmacs_per_sample", s.gmacs_per_sample);
  visit("compute_gmacs", s.compute_gmacs);
  visit("train_flops", s.train_flops);
}

namespace {

template <class Visitor>
void VisitFields(Visitor& visit, Record& s) {
  visit("schema", s.schema);
  visit("name", s.name);
  visit("source", s.source);
  visit("runs", s.runs);
}

}  // namespace

const ExpandedRun* ExpandedSweep::Find(const std::string& run_id) const {
  const auto found = std::find_if(
      runs.begin(), runs.end(), [&](const ExpandedRun& run) { return run.run_id == run_id; });
  return found == runs.end() ? nullptr : &*found;
}

Json ExpandedSweepJson(const ExpandedSweep& sweep) {
  return FieldsToJson(Record{kSchema, sweep.name, sweep.source, sweep.runs});
}

ExpandedSweep ParseExpandedSweep(const Json& json, const std::string& origin) {
  auto record = FieldsFromJson<Record>(json, origin);
  if (record.schema != kSchema) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: schema is '{}', expected {}", origin, record.schema, kSchema));
  }
  ExpandedSweep sweep;
  sweep.name = std::move(record.name);
  sweep.source = std::move(record.source);
  sweep.runs = std::move(record.runs);
  return sweep;
}

}  // namespace sweep
