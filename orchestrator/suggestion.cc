#include "orchestrator/suggestion.h"

#include <fmt/format.h>

#include "core/failure.h"
#include "orchestrator/cost_model.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/expand.h"

namespace sweep {
namespace {

bool IsUnderWay(RunState state) {
  return state == RunState::kSubmitting || state == RunState::kQueued ||
         state == RunState::kRunning;
}

// The runs as rows of the view `points` of the store, as if they had a result.
Table AsPoints(const std::vector<const RunRow*>& runs, const Json& group) {
  Table table;
  table.origin = "the sweep file";
  table.columns = {"curve",
                   "run",
                   "model",
                   "dataset",
                   "data_scale",
                   "samples_seen",
                   "gmacs_per_sample",
                   "compute_gmacs",
                   "train_flops",
                   "params",
                   "image_tokens",
                   "text_tokens",
                   "global_batch_size",
                   "learning_rate",
                   "seed",
                   "schedule",
                   "point_kind",
                   "value"};
  for (const auto& [column, value] : group.items()) {
    if (!table.Has(column)) table.columns.push_back(column);
  }
  for (const RunRow* run : runs) {
    std::vector<std::string> row = {run->curve,
                                    run->run_id,
                                    run->model,
                                    run->dataset,
                                    std::to_string(run->spec.data.data_scale),
                                    std::to_string(run->total_samples_seen),
                                    fmt::format("{}", run->gmacs_per_sample),
                                    fmt::format("{}", run->compute_gmacs),
                                    fmt::format("{}", run->train_flops),
                                    std::to_string(run->params),
                                    std::to_string(run->image_tokens),
                                    std::to_string(run->text_tokens),
                                    std::to_string(run->spec.global_batch_size),
                                    fmt::format("{}", run->spec.optimizer.learning_rate),
                                    std::to_string(run->spec.seed),
                                    run->spec.schedule.name,
                                    run->point_kind,
                                    "0.5"};
    for (std::size_t c = row.size(); c < table.columns.size(); ++c)
      row.push_back(group.at(table.columns[c]));
    table.rows.push_back(std::move(row));
    table.labels.push_back(run->run_id);
  }
  return table;
}

// Those that stand for a point of the group, by their place among `runs`.
std::vector<PointGroup> GroupsOf(const std::vector<const RunRow*>& runs,
                                 const Json& group,
                                 const PointQuery& query,
                                 const Law& law) {
  std::vector<PointGroup> groups = MakeGroups(AsPoints(runs, group), query, law);
  std::erase_if(groups, [&](const PointGroup& other) { return other.group != group; });
  return groups;
}

Target VariablesOf(const PointTable& points, std::size_t i) {
  Target at;
  for (std::size_t v = 0; v < points.variables.size(); ++v)
    at[points.variables[v]] = points.columns[v][i];
  return at;
}

// Device hours of the run's own segment.
double HoursOf(const RunRow& run, const TrainRates& rates) {
  return TrainSeconds(run.spec, rates).middle * static_cast<double>(rates.workplace().devices) /
         kSecondsPerHour;
}

}  // namespace

CandidateRuns FindCandidates(const ExpandedSweep& sweep,
                             const RunStates& states,
                             const TrainRates& rates,
                             const Json& group,
                             const PointQuery& query,
                             const Law& law) {
  const auto state_of = [&](const RunRow& run) {
    const auto known = states.find(run.run_id);
    return known == states.end() ? RunState::kPlanned : known->second;
  };
  std::vector<const RunRow*> open;
  for (const RunRow& run : sweep.runs) {
    if (state_of(run) == RunState::kPlanned || IsUnderWay(state_of(run))) open.push_back(&run);
  }
  CandidateRuns found;
  std::map<std::string, std::size_t> index;
  for (const PointGroup& points : GroupsOf(open, group, query, law)) {
    for (std::size_t i = 0; i < points.rows.size(); ++i) {
      const RunRow& run = *open[points.rows[i]];
      Candidate candidate{.at = VariablesOf(points.points, i), .cost = HoursOf(run, rates)};
      if (const auto parent = index.find(run.spec.start.run_id); parent != index.end())
        candidate.after = parent->second;
      index[run.run_id] = found.runs.size();
      if (IsUnderWay(state_of(run))) found.under_way.push_back(found.runs.size());
      found.runs.push_back(&run);
      found.candidates.push_back(std::move(candidate));
    }
  }
  return found;
}

Json SuggestedSweepFile(const ExpandedSweep& sweep,
                        const std::vector<std::string>& run_ids,
                        const std::filesystem::path& folder) {
  Json document = sweep.source;
  document["name"] = sweep.name + "-next";
  document["only"] = run_ids;
  document["chosen_by"] = "sweep suggest";
  ProblemsOf(document, folder, LoadCatalog(DataPath(""))).ThrowIfErrors();
  return document;
}

}  // namespace sweep
