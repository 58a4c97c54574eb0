#include "orchestrator/sweep_file/expand.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>

#include "core/compute.h"
#include "core/hash.h"
#include "orchestrator/sweep_file/draft_maker.h"
#include "orchestrator/sweep_file/link_runs.h"

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
    std::vector<RunDraft>().swap(drafts_);
    Merge();
    Order();
    sweep.runs = std::move(runs_);
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
    RunDraft& draft = drafts_[index];
    const RunLink& link = links_[index];
    ExpandedRun& run = runs_[index];
    run.spec = std::move(draft.spec);
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
    SetEvaluations(link, run);
    SetLocations(link, run);
  }

  static void SetCoordinates(RunDraft& draft, ExpandedRun& run) {
    for (size_t i = 0; i < RunFields().size(); ++i) {
      run.coordinates[std::string(RunFields()[i].name)] = std::move(draft.values[i]);
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

  void SetEvaluations(const RunLink& link, ExpandedRun& run) const {
    const bool is_cooldown = link.parent && runs_[*link.parent].spec.schedule.name == "constant" &&
                             run.spec.schedule.name != "constant";
    for (const NamedEvaluation& evaluation : file_.evaluations) {
      const EvaluationDefinition& d = evaluation.definition;
      PlannedEvaluation planned;
      planned.name = evaluation.name;
      if (is_cooldown) planned.point_kind = "cooldown";
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

  // Each run_id once, with the first draft's labels and all samples that any of the equal runs has
  // to keep. In place, as large sweeps need the room.
  void Merge() {
    std::map<std::string, size_t> places;
    size_t kept = 0;
    for (size_t i = 0; i < runs_.size(); ++i) {
      const auto [place, is_new] = places.emplace(runs_[i].run_id, kept);
      if (is_new) {
        if (kept != i) runs_[kept] = std::move(runs_[i]);
        ++kept;
      } else {
        auto& keep_at = runs_[place->second].keep_at;
        keep_at.insert(keep_at.end(), runs_[i].keep_at.begin(), runs_[i].keep_at.end());
      }
    }
    runs_.resize(kept);
    for (ExpandedRun& run : runs_) {
      std::sort(run.keep_at.begin(), run.keep_at.end());
      run.keep_at.erase(std::unique(run.keep_at.begin(), run.keep_at.end()), run.keep_at.end());
    }
  }

  // The place of every run when, again and again, the cheapest is taken whose parent has been.
  [[nodiscard]] std::vector<size_t> Places() const {
    using Entry = std::tuple<double, std::string_view, size_t>;  // compute, run_id, index
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    std::map<std::string_view, std::vector<size_t>> children;
    const auto entry = [&](size_t i) { return Entry(runs_[i].compute_gmacs, runs_[i].run_id, i); };
    for (size_t i = 0; i < runs_.size(); ++i) {
      if (runs_[i].parent_run_id.empty()) {
        ready.push(entry(i));
      } else {
        children[runs_[i].parent_run_id].push_back(i);
      }
    }
    std::vector<size_t> places(runs_.size());
    for (size_t next = 0; !ready.empty(); ++next) {
      const size_t index = std::get<size_t>(ready.top());
      ready.pop();
      places[index] = next;
      const auto waiting = children.find(runs_[index].run_id);
      if (waiting == children.end()) continue;
      for (const size_t child : waiting->second) ready.push(entry(child));
    }
    return places;
  }

  void Order() {
    std::vector<size_t> places = Places();
    for (size_t i = 0; i < runs_.size(); ++i) {
      while (places[i] != i) {
        std::swap(runs_[i], runs_[places[i]]);
        std::swap(places[i], places[places[i]]);
      }
    }
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
