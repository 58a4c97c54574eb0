#include "orchestrator/sweep_file/expand.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <unordered_set>

#include "core/cores.h"
#include "core/compute.h"
#include "core/hash.h"
#include "core/json_fields.h"
#include "fit/parallel.h"
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
      : file_(file),
        drafts_(std::move(drafts)),
        links_(std::move(links)),
        runs_(drafts_.size()),
        longest_segments_(drafts_.size()) {
    for (const NamedEvaluation& evaluation : file.evaluations) {
      const EvaluationDefinition& d = evaluation.definition;
      const EvaluationSpec spec = {d.task, d.kind, d.content, d.size, d.options};
      evaluations_.push_back({evaluation.name, spec, EvaluationIdentity(spec)});
    }
  }

  ExpandedSweep Expand(ProblemList& problems) {
    ExpandedSweep sweep;
    sweep.name = file_.name;
    sweep.chosen_by = file_.chosen_by;
    sweep.source = file_.source.value();
    MakeRoots();
    for (size_t i = 0; i < drafts_.size(); ++i) MakeWithAncestors(i);
    for (size_t i = 0; i < drafts_.size(); ++i) AddLocations(links_[i], runs_[i]);
    std::vector<RunDraft>().swap(drafts_);
    Merge();
    if (!file_.only.empty()) KeepOnly(problems);
    Order();
    sweep.runs = std::move(runs_);
    sweep.locations = std::move(locations_);
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
  // Runs that start from no other need nothing of each other, and their identities take most of the
  // time.
  void MakeRoots() {
    constexpr size_t kWorthThreads = 2000;
    const size_t threads = drafts_.size() < kWorthThreads ? 1 : UsableCores();
    ParallelFor(drafts_.size(), static_cast<int>(threads), [&](size_t i) {
      if (!links_[i].parent) Make(i);
    });
  }

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
    RunRow& run = runs_[index];
    run.spec = std::move(draft.spec);
    run.spec.start = link.files;
    if (link.parent) {
      run.spec.start.run_id = runs_[*link.parent].run_id;
      run.spec.start.samples_seen = link.samples_seen;
    }
    run.run_id = RunId(run.spec);
    run.model = draft.Text("model");
    run.dataset = draft.Text("dataset");
    run.curve = file_.CurveOf(run.dataset);
    SetCoordinates(draft, run);
    SetWork(link, run);
    SetTokens(index);
    run.point_kind = PointKind(link, run);
    SetEvaluations(run);
  }

  static void SetCoordinates(RunDraft& draft, RunRow& run) {
    static const Coordinates::Names names = [] {
      std::vector<std::string> all;
      for (const Field& field : RunFields()) all.emplace_back(field.name);
      return std::make_shared<const std::vector<std::string>>(std::move(all));
    }();
    if (!run.spec.start.scratch())
      draft.values[RunFieldIndex("start")] = FieldsToJson(run.spec.start);
    run.coordinates = {names, std::move(draft.values)};
  }

  void SetWork(const RunLink& link, RunRow& run) {
    run.params = CountParameters(run.spec.model).total();
    run.gmacs_per_sample = CountForwardGmacs(run.spec.model, run.spec.reduction).total();
    run.total_samples_seen = run.spec.samples_seen;
    Work work = WorkOf(run, run.spec.samples_seen);
    if (link.parent) {
      const RunRow& parent = runs_[*link.parent];
      const int64_t rest = parent.spec.samples_seen - link.samples_seen;
      run.total_samples_seen += parent.total_samples_seen - rest;
      const Work rest_of_parent = WorkOf(parent, rest);
      work.compute_gmacs += parent.compute_gmacs - rest_of_parent.compute_gmacs;
      work.train_flops += parent.train_flops - rest_of_parent.train_flops;
    }
    run.compute_gmacs = work.compute_gmacs;
    run.train_flops = work.train_flops;
  }

  void SetTokens(size_t index) {
    RunRow& run = runs_[index];
    const std::optional<size_t>& parent = links_[index].parent;
    longest_segments_[index] = run.spec.samples_seen;
    run.image_tokens = KeptPatchCount(run.spec.model.vision, run.spec.reduction) + 1;
    run.text_tokens = run.spec.model.text.context_length;
    if (!parent || longest_segments_[*parent] <= run.spec.samples_seen) return;
    longest_segments_[index] = longest_segments_[*parent];
    run.image_tokens = runs_[*parent].image_tokens;
    run.text_tokens = runs_[*parent].text_tokens;
  }

  static Work WorkOf(const RunRow& run, int64_t samples) {
    const auto count = static_cast<double>(samples);
    return {count * run.gmacs_per_sample, count * TrainFlopsPerSample(run.spec)};
  }

  // The end of a branch whose rate falls, that left a run of constant rate, is a cooldown point.
  [[nodiscard]] const char* PointKind(const RunLink& link, const RunRow& run) const {
    const bool is_cooldown = link.parent && runs_[*link.parent].spec.schedule.name == "constant" &&
                             run.spec.schedule.name != "constant";
    return is_cooldown ? "cooldown" : "final";
  }

  void SetEvaluations(RunRow& run) const {
    run.evaluations.reserve(evaluations_.size());
    for (const Evaluation& evaluation : evaluations_) {
      EvaluationRequest& request = run.evaluations.emplace_back();
      request.eval_dataset = evaluation.name;
      request.samples_seen = run.spec.samples_seen;
      request.spec = evaluation.spec;
      request.eval_id = evaluation.identity.Of(run.run_id, request.samples_seen);
    }
  }

  void AddLocations(const RunLink& link, const RunRow& run) {
    locations_.insert(link.paths.begin(), link.paths.end());
    if (!located_.emplace(run.dataset, run.spec.reduction.parts_of_speech).second) return;
    const auto set = [&](const std::string& content, const std::string& path) {
      if (!path.empty()) locations_.emplace(content, path);
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
    if (const std::string& list = run.spec.reduction.parts_of_speech; !list.empty()) {
      set(list,
          std::filesystem::absolute(file_.catalog.folder / dataset.parts_of_speech_file).string());
    }
  }

  // Each run_id once, with the first draft's labels. In place, as large sweeps need the room.
  void Merge() {
    std::unordered_set<std::string> seen;
    seen.reserve(runs_.size());
    size_t kept = 0;
    for (size_t i = 0; i < runs_.size(); ++i) {
      if (!seen.insert(runs_[i].run_id).second) continue;
      if (kept != i) runs_[kept] = std::move(runs_[i]);
      ++kept;
    }
    runs_.resize(kept);
  }

  // What `only` names, and all it starts from.
  void KeepOnly(ProblemList& problems) {
    std::map<std::string_view, const RunRow*> by_id;
    for (const RunRow& run : runs_) by_id.emplace(run.run_id, &run);
    std::set<std::string> wanted;
    for (size_t i = 0; i < file_.only.size(); ++i) {
      const std::string& beginning = file_.only[i];
      const auto first = by_id.lower_bound(beginning);
      const auto next = first == by_id.end() ? first : std::next(first);
      const auto matches = [&](auto it) {
        return it != by_id.end() && it->first.starts_with(beginning);
      };
      if (!matches(first) || matches(next)) {
        problems.Add(file_.source.Error(
            PointerTo("/only", i),
            fmt::format("value '{}', expected the id of one run of this file, which has {}",
                        beginning,
                        matches(first) ? "several that begin so" : "none that begins so")));
        continue;
      }
      auto run = first;
      while (run != by_id.end() && wanted.emplace(run->first).second)
        run = by_id.find(run->second->spec.start.run_id);
    }
    std::erase_if(runs_, [&](const RunRow& run) { return !wanted.contains(run.run_id); });
  }

  // The place of every run when, again and again, the cheapest is taken whose parent has been.
  [[nodiscard]] std::vector<size_t> Places() const {
    using Entry = std::tuple<double, std::string_view, size_t>;  // compute, run_id, index
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    std::map<std::string_view, std::vector<size_t>> children;
    const auto entry = [&](size_t i) { return Entry(runs_[i].compute_gmacs, runs_[i].run_id, i); };
    for (size_t i = 0; i < runs_.size(); ++i) {
      const std::string& parent = runs_[i].spec.start.run_id;
      if (parent.empty()) {
        ready.push(entry(i));
      } else {
        children[parent].push_back(i);
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

  struct Evaluation {
    std::string name;
    EvaluationSpec spec;
    EvaluationIdentity identity;
  };

  const SweepFile& file_;
  std::vector<Evaluation> evaluations_;
  std::vector<RunDraft> drafts_;
  std::vector<RunLink> links_;
  std::vector<RunRow> runs_;               // one for each draft
  std::vector<int64_t> longest_segments_;  // samples, of the run and its ancestors
  std::map<std::string, std::string> locations_;
  std::set<std::pair<std::string, std::string>> located_;  // data sets and their word lists
};

}  // namespace

ExpandedSweep Expand(const SweepFile& file, ProblemList& problems) {
  std::vector<RunDraft> drafts = DraftMaker(file, problems).Make();
  auto links = LinkRuns(file, drafts, problems);
  if (!links) {
    ExpandedSweep nothing;
    nothing.name = file.name;
    nothing.source = file.source.value();
    return nothing;
  }
  ExpandedSweep sweep = Expander(file, std::move(drafts), std::move(*links)).Expand(problems);
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

ProblemList ProblemsOf(const Json& document,
                       const std::filesystem::path& folder,
                       const Catalog& catalog) {
  ProblemList problems;
  const SweepFile file = ParseSweepFile(document.dump(1), folder / "made.json", catalog, problems);
  if (!problems.has_errors()) (void)Expand(file, problems);
  return problems;
}

}  // namespace sweep
