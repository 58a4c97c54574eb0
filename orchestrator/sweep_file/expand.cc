#include "orchestrator/sweep_file/expand.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>

#include "core/compute.h"
#include "core/hash.h"
#include "orchestrator/sweep_file/link_runs.h"
#include "orchestrator/sweep_file/run_draft.h"

namespace sweep {
namespace {

// Work that a run's weights hold: its own, or its own up to some point, and its ancestors'.
struct Work {
  double compute_gmacs = 0;
  double train_flops = 0;
};

class Expander {
 public:
  Expander(const SweepFile& file, std::vector<RunDraft> drafts, std::vector<RunLink> links)
      : file_(file), drafts_(std::move(drafts)), links_(std::move(links)), runs_(drafts_.size()) {}

  ExpandedSweep Expand() {
    ExpandedSweep sweep;
    sweep.name = file_.name;
    sweep.source = file_.source.value();
    for (size_t i = 0; i < drafts_.size(); ++i) MakeWithAncestors(i);
    sweep.runs = InOrder(Merged());
    for (const auto& [name, dataset] : file_.catalog.datasets) {
      if (!dataset.install_hint.empty())
        sweep.install_hints[dataset.content] = dataset.install_hint;
    }
    for (const NamedEvaluation& evaluation : file_.evaluations) {
      const EvaluationDefinition& d = evaluation.definition;
      if (!d.install_hint.empty()) sweep.install_hints[d.content] = d.install_hint;
    }
    return sweep;
  }

 private:
  // A chain of parents may be long, so it is walked, not recursed into.
  void MakeWithAncestors(size_t draft) {
    std::vector<size_t> chain;
    for (std::optional<size_t> at = draft; at && runs_[*at].run_id.empty();
         at = links_[*at].parent) {
      chain.push_back(*at);
    }
    for (auto at = chain.rbegin(); at != chain.rend(); ++at) Make(*at);
  }

  void Make(size_t index) {
    const RunDraft& draft = drafts_[index];
    const RunLink& link = links_[index];
    ExpandedRun& run = runs_[index];
    run.spec = draft.spec;
    if (link.parent) {
      run.parent_run_id = runs_[*link.parent].run_id;
      run.spec.start = {run.parent_run_id, link.samples_seen, ""};
      runs_[*link.parent].keep_at.push_back(link.samples_seen);
    } else {
      run.spec.start.file = link.file;
    }
    run.run_id = RunId(run.spec);
    run.model = draft.Text("model");
    run.dataset = draft.Text("dataset");
    run.curve = file_.CurveOf(run.dataset);
    run.requested_samples = draft.Count("samples_seen");
    SetCoordinates(draft, run);
    SetWork(link, run);
    SetEvaluations(run);
    SetLocations(link, run);
  }

  static void SetCoordinates(const RunDraft& draft, ExpandedRun& run) {
    for (size_t i = 0; i < RunFields().size(); ++i) {
      run.coordinates[std::string(RunFields()[i].name)] = draft.values[i];
    }
    const StartSpec& start = run.spec.start;
    if (!start.run_id.empty()) {
      run.coordinates["start"] = {{"run_id", start.run_id}, {"samples_seen", start.samples_seen}};
    } else if (!start.file.empty()) {
      run.coordinates["start"] = {{"file", start.file}};
    }
  }

  void SetWork(const RunLink& link, ExpandedRun& run) {
    run.params = CountParameters(run.spec.model).total();
    run.gmacs_per_sample = CountForwardGmacs(run.spec.model).total();
    Work work = WorkOf(run, run.spec.samples_seen);
    if (link.parent) {
      const ExpandedRun& parent = runs_[*link.parent];
      const Work rest_of_parent = WorkOf(parent, parent.spec.samples_seen - link.samples_seen);
      work.compute_gmacs += parent.compute_gmacs - rest_of_parent.compute_gmacs;
      work.train_flops += parent.train_flops - rest_of_parent.train_flops;
    }
    run.compute_gmacs = work.compute_gmacs;
    run.train_flops = work.train_flops;
  }

  static Work WorkOf(const ExpandedRun& run, int64_t samples) {
    const auto count = static_cast<double>(samples);
    return {count * run.gmacs_per_sample, count * TrainFlopsPerSample(run.spec.model)};
  }

  void SetEvaluations(ExpandedRun& run) const {
    for (const NamedEvaluation& evaluation : file_.evaluations) {
      const EvaluationDefinition& d = evaluation.definition;
      PlannedEvaluation planned;
      planned.name = evaluation.name;
      planned.samples_seen = run.spec.samples_seen;
      planned.spec = {d.task, d.kind, d.content, d.size, d.options};
      planned.eval_id = EvaluationId(run.run_id, planned.samples_seen, planned.spec);
      run.evaluations.push_back(std::move(planned));
    }
  }

  void SetLocations(const RunLink& link, ExpandedRun& run) const {
    const auto set = [&](const std::string& content, const std::string& path) {
      if (!path.empty()) run.locations[content] = path;
    };
    const DatasetDefinition& dataset = file_.catalog.datasets.at(run.dataset);
    set(dataset.content, dataset.location);
    if (!dataset.vocabulary_file.empty()) {
      set(run.spec.tokenizer.vocabulary,
          std::filesystem::absolute(file_.catalog.folder / dataset.vocabulary_file).string());
    }
    for (const NamedEvaluation& evaluation : file_.evaluations) {
      set(evaluation.definition.content, evaluation.definition.location);
    }
    set(link.file, link.file_path);
  }

  // Each run_id once, the first draft's labels; samples that any of the equal runs has to keep.
  std::vector<ExpandedRun> Merged() {
    std::vector<ExpandedRun> merged;
    std::map<std::string, size_t> places;
    for (ExpandedRun& run : runs_) {
      const auto [place, is_new] = places.emplace(run.run_id, merged.size());
      if (is_new) {
        merged.push_back(std::move(run));
      } else {
        auto& keep_at = merged[place->second].keep_at;
        keep_at.insert(keep_at.end(), run.keep_at.begin(), run.keep_at.end());
      }
    }
    for (ExpandedRun& run : merged) {
      std::sort(run.keep_at.begin(), run.keep_at.end());
      run.keep_at.erase(std::unique(run.keep_at.begin(), run.keep_at.end()), run.keep_at.end());
    }
    return merged;
  }

  // Takes, again and again, the cheapest run whose parent has been taken.
  static std::vector<ExpandedRun> InOrder(std::vector<ExpandedRun> runs) {
    using Entry = std::tuple<double, std::string, size_t>;  // compute, run_id, index
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    std::map<std::string, std::vector<size_t>> children;
    const auto entry = [&](size_t i) { return Entry(runs[i].compute_gmacs, runs[i].run_id, i); };
    for (size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].parent_run_id.empty()) {
        ready.push(entry(i));
      } else {
        children[runs[i].parent_run_id].push_back(i);
      }
    }
    std::vector<ExpandedRun> ordered;
    ordered.reserve(runs.size());
    while (!ready.empty()) {
      const size_t index = std::get<size_t>(ready.top());
      ready.pop();
      for (const size_t child : children[runs[index].run_id]) ready.push(entry(child));
      ordered.push_back(std::move(runs[index]));
    }
    return ordered;
  }

  const SweepFile& file_;
  std::vector<RunDraft> drafts_;
  std::vector<RunLink> links_;
  std::vector<ExpandedRun> runs_;  // one for each draft
};

}  // namespace

ExpandedSweep Expand(const SweepFile& file, ProblemList& problems) {
  std::vector<RunDraft> drafts = DraftMaker(file, problems).Make();
  auto links = LinkRuns(file, drafts, problems);
  if (!links) return ExpandedSweep{file.name, file.source.value(), {}, {}};
  ExpandedSweep sweep = Expander(file, std::move(drafts), std::move(*links)).Expand();
  if (sweep.runs.empty() && !problems.has_errors()) {
    problems.Add(file.source.Error("", "no runs: expected a grid, fixed values or included runs"));
  }
  return sweep;
}

ExpandedSweep Expand(const SweepFile& file) {
  ProblemList problems;
  ExpandedSweep sweep = Expand(file, problems);
  problems.ThrowIfErrors();
  return sweep;
}

}  // namespace sweep
