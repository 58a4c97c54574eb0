#include "orchestrator/sweep_job.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "core/failure.h"

namespace sweep {
namespace {

ExecutionSettings MakeExecution(const SweepFile& file) {
  ExecutionSettings execution;
  execution.slots = file.executor.slots.value_or(0);
  execution.max_attempts = file.executor.max_attempts;
  execution.threads_per_run = file.executor.threads_per_run;
  execution.device = file.trainer.device;
  execution.checkpoint_every_seconds = file.trainer.checkpoint_every_seconds;
  execution.trainer_command = file.trainer.command;
  return execution;
}

RunRow MakeRunRow(const ExpandedRun& run, const std::map<std::string, int64_t>& samples_before) {
  RunRow row;
  row.run_id = run.run_id;
  row.spec = run.spec;
  row.params = run.params;
  row.gmacs_per_sample = run.gmacs_per_sample;
  const auto parent = samples_before.find(run.parent_run_id);
  row.total_samples_seen =
      run.spec.samples_seen +
      (parent == samples_before.end() ? 0 : parent->second + run.spec.start.samples_seen);
  row.compute_gmacs = run.compute_gmacs;
  row.train_flops = run.train_flops;
  row.model = run.model;
  row.dataset = run.dataset;
  row.curve = run.curve;
  row.coordinates = run.coordinates;
  for (const PlannedEvaluation& evaluation : run.evaluations) {
    if (evaluation.samples_seen == run.spec.samples_seen) row.point_kind = evaluation.point_kind;
    row.evaluations.push_back(
        {evaluation.eval_id, evaluation.name, evaluation.samples_seen, evaluation.spec});
  }
  return row;
}

}  // namespace

SweepJob MakeSweepJob(const SweepFile& file, const ExpandedSweep& expanded) {
  SweepJob job;
  job.sweep.name = expanded.name;
  job.install_hints = expanded.install_hints;
  job.execution = MakeExecution(file);
  std::map<std::string, int64_t>
      samples_before;  // of each run's ancestors; parents come before their children
  for (const ExpandedRun& run : expanded.runs) {
    RunRow row = MakeRunRow(run, samples_before);
    samples_before[run.run_id] = row.total_samples_seen - run.spec.samples_seen;
    job.sweep.runs.push_back(std::move(row));
    job.locations.insert(run.locations.begin(), run.locations.end());
  }
  return job;
}

void RequireLocations(const SweepJob& job, const std::vector<const RunRow*>& runs) {
  std::set<std::string> needed;
  for (const RunRow* run : runs) {
    needed.insert({run->spec.data.content, run->spec.tokenizer.vocabulary});
    if (!run->spec.start.file.empty()) needed.insert(run->spec.start.file);
    for (const EvaluationRequest& evaluation : run->evaluations)
      needed.insert(evaluation.spec.content);
  }
  std::string missing;
  for (const std::string& content : needed) {
    const auto location = job.locations.find(content);
    if (location != job.locations.end() && std::filesystem::exists(location->second)) continue;
    const auto hint = job.install_hints.find(content);
    missing += fmt::format(
        "{}{} is not there{}",
        missing.empty() ? "" : "\n",
        location == job.locations.end() ? "data with content id " + content : location->second,
        hint == job.install_hints.end() ? "" : ": " + hint->second);
  }
  if (!missing.empty()) throw Failure(FailureCode::kData, missing);
}

}  // namespace sweep
