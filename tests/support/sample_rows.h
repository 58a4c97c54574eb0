#pragma once

#include "db/records.h"
#include "tests/support/sample_specs.h"

namespace sweep {

/// A one-run sweep row made from the sample spec with another seed each time.
inline RunRow SampleRunRow(int64_t seed = 0) {
  RunRow row;
  row.spec = SampleRunSpec();
  row.spec.seed = seed;
  row.run_id = RunId(row.spec);
  row.params = 1000;
  row.gmacs_per_sample = 0.001;
  row.total_samples_seen = row.spec.samples_seen;
  row.compute_gmacs = row.gmacs_per_sample * static_cast<double>(row.total_samples_seen);
  row.train_flops = row.compute_gmacs * 6e9;
  row.model = "tiny";
  row.dataset = "scenes";
  row.curve = "scenes";
  return row;
}

inline SweepRow SampleSweepRow(std::vector<RunRow> runs) {
  return SweepRow{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "sample", std::move(runs)};
}

inline EvaluationResult SampleEvaluationResult(const RunRow& run, double value) {
  EvaluationResult result;
  result.spec = SampleEvaluationSpec();
  result.run_id = run.run_id;
  result.samples_seen = run.spec.samples_seen;
  result.eval_id = EvaluationId(run.run_id, result.samples_seen, result.spec);
  result.eval_dataset = "items";
  result.metrics["acc1"] = MetricValue{value, 1000};
  return result;
}

}  // namespace sweep
