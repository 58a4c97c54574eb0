#include "orchestrator/sweep_job.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "core/failure.h"

namespace sweep {

std::unordered_map<std::string, std::set<int64_t>> CheckpointsNeeded(const SweepRow& sweep) {
  std::unordered_map<std::string, std::set<int64_t>> needed;
  needed.reserve(sweep.runs.size());
  for (const RunRow& run : sweep.runs) {
    std::set<int64_t>& samples = needed[run.run_id];
    for (const EvaluationRequest& evaluation : run.evaluations)
      samples.insert(evaluation.samples_seen);
    if (!run.spec.start.run_id.empty())
      needed[run.spec.start.run_id].insert(run.spec.start.samples_seen);
  }
  return needed;
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
    const auto location = job.sweep.locations.find(content);
    if (location != job.sweep.locations.end() && std::filesystem::exists(location->second))
      continue;
    const auto hint = job.sweep.install_hints.find(content);
    missing += fmt::format("{}{} is not there{}",
                           missing.empty() ? "" : "\n",
                           location == job.sweep.locations.end() ? "data with content id " + content
                                                                 : location->second,
                           hint == job.sweep.install_hints.end() ? "" : ": " + hint->second);
  }
  if (!missing.empty()) throw Failure(FailureCode::kData, missing);
}

}  // namespace sweep
