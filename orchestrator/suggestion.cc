#include "orchestrator/suggestion.h"

#include <fmt/format.h>

#include <set>
#include <unordered_map>

#include "core/failure.h"
#include "db/point_labels.h"
#include "orchestrator/cost_model.h"
#include "orchestrator/data_files.h"
#include "orchestrator/retry_request.h"
#include "orchestrator/sweep_file/expand.h"

namespace sweep {
namespace {

bool IsUnderWay(RunState state) {
  return state == RunState::kSubmitting || state == RunState::kQueued ||
         state == RunState::kRunning;
}

// The runs as rows of the view `points` of the store, as if they had a result.
Table AsPoints(const ExpandedSweep& sweep,
               const std::vector<const RunRow*>& runs,
               const Json& group) {
  const auto labels = PointLabelsOf(sweep.runs);
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
                                    labels.at(run->run_id).schedule,
                                    labels.at(run->run_id).kind,
                                    "0.5"};
    for (std::size_t c = row.size(); c < table.columns.size(); ++c)
      row.push_back(group.at(table.columns[c]));
    table.rows.push_back(std::move(row));
    table.labels.push_back(run->run_id);
  }
  return table;
}

// Those that stand for a point of the group, by their place among `runs`.
std::vector<PointGroup> GroupsOf(const ExpandedSweep& sweep,
                                 const std::vector<const RunRow*>& runs,
                                 const Json& group,
                                 const PointQuery& query,
                                 const Law& law) {
  std::vector<PointGroup> groups = MakeGroups(AsPoints(sweep, runs, group), query, law);
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

// Candidates as they are found, and what has to be trained before them.
class CandidateFinder {
 public:
  CandidateFinder(const ExpandedSweep& sweep, const RunStates& states, const TrainRates& rates)
      : sweep_(sweep), states_(states), rates_(rates) {}

  // Runs to come: not at their end, and not waiting for one that will never get there.
  [[nodiscard]] std::vector<const RunRow*> Open() const {
    std::vector<const RunRow*> open;
    IdSet lost;
    for (const RunRow& run : sweep_.runs) {
      const RunState state = StateOf(run.run_id);
      if (CanBeRetried(state) || (!IsTrained(run) && lost.contains(run.spec.start.run_id))) {
        lost.insert(run.run_id);
      } else if (!IsTrained(run)) {
        open.push_back(&run);
      }
    }
    return open;
  }

  void Add(const RunRow& run, Target at) {
    Candidate candidate{.at = std::move(at), .cost = HoursOf(run, rates_)};
    candidate.after = WayTo(run, candidate.at);
    if (IsUnderWay(StateOf(run.run_id))) found_.under_way.push_back(found_.runs.size());
    Add(run, std::move(candidate));
  }

  CandidateRuns Take() { return std::move(found_); }

 private:
  [[nodiscard]] RunState StateOf(const std::string& run_id) const {
    const auto known = states_.find(run_id);
    return known == states_.end() ? RunState::kPlanned : known->second;
  }

  [[nodiscard]] bool IsTrained(const RunRow& run) const {
    return StateOf(run.run_id) == RunState::kCompleted;
  }

  void Add(const RunRow& run, Candidate candidate) {
    index_[run.run_id] = found_.runs.size();
    found_.runs.push_back(&run);
    found_.candidates.push_back(std::move(candidate));
  }

  // The candidate that `run` starts from: a trunk that is no point of the law has to be paid for,
  // too. Where it would be measured does not matter then.
  std::optional<std::size_t> WayTo(const RunRow& run, const Target& anywhere) {
    const std::string& parent_id = run.spec.start.run_id;
    if (parent_id.empty()) return std::nullopt;
    if (const auto known = index_.find(parent_id); known != index_.end()) return known->second;
    if (StateOf(parent_id) != RunState::kPlanned) return std::nullopt;  // paid for
    const RunRow& parent = *sweep_.Find(parent_id);
    Candidate way{.at = anywhere, .cost = HoursOf(parent, rates_), .observed = false};
    way.after = WayTo(parent, anywhere);
    ++found_.on_the_way;
    Add(parent, std::move(way));
    return index_.at(parent_id);
  }

  const ExpandedSweep& sweep_;
  const RunStates& states_;
  const TrainRates& rates_;
  CandidateRuns found_;
  std::unordered_map<std::string, std::size_t> index_;  // by run id
};

}  // namespace

CandidateRuns FindCandidates(const ExpandedSweep& sweep,
                             const RunStates& states,
                             const TrainRates& rates,
                             const Json& group,
                             const PointQuery& query,
                             const Law& law) {
  CandidateFinder finder(sweep, states, rates);
  const std::vector<const RunRow*> open = finder.Open();
  for (const PointGroup& points : GroupsOf(sweep, open, group, query, law)) {
    for (std::size_t i = 0; i < points.rows.size(); ++i)
      finder.Add(*open[points.rows[i]], VariablesOf(points.points, i));
  }
  return finder.Take();
}

std::vector<const RunRow*> RunsOnTheWay(const CandidateRuns& runs, const Design& design) {
  std::set<std::size_t> needed;
  for (const DesignStep& step : design.steps) {
    for (auto at = runs.candidates[step.candidate].after; at; at = runs.candidates[*at].after) {
      if (!runs.candidates[*at].observed) needed.insert(*at);
    }
  }
  std::vector<const RunRow*> rows;
  for (const std::size_t candidate : needed) rows.push_back(runs.runs[candidate]);
  return rows;
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
