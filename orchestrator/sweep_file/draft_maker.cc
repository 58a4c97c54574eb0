#include "orchestrator/sweep_file/draft_maker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/compute.h"

namespace sweep {
namespace {

bool Matches(const Exclusion& exclusion, const RunDraft& draft) {
  return std::all_of(exclusion.fields.begin(), exclusion.fields.end(), [&](const GridAxis& any_of) {
    const Json& value = draft.values[any_of.field];
    return std::find(any_of.values.begin(), any_of.values.end(), value) != any_of.values.end();
  });
}

}  // namespace

DraftMaker::DraftMaker(const SweepFile& file, ProblemList& problems)
    : file_(file),
      reader_(file.source, file.catalog, problems),
      completer_(file, problems),
      exclusion_matched_(file.rules.exclude.size(), false) {}

std::vector<RunDraft> DraftMaker::Make() {
  std::vector<RunDraft> drafts;
  AddGridDrafts(drafts);
  if (file_.rules.generate && file_.rules.generate->budget_gmacs) {
    KeepToBudget(*file_.rules.generate->budget_gmacs, drafts);
  }
  for (RunDraft& draft : IncludedDrafts()) {
    if (completer_.Complete(draft)) drafts.push_back(std::move(draft));
  }
  for (size_t i = 0; i < exclusion_matched_.size(); ++i) {
    if (exclusion_matched_[i]) continue;
    reader_.Warn(file_.rules.exclude[i].pointer, "excludes nothing: no grid run has these values");
  }
  return drafts;
}

RunDraft DraftMaker::Start(const std::string& pointer) const {
  RunDraft draft;
  draft.values.resize(RunFields().size());
  draft.origins.resize(RunFields().size(), ValueOrigin::kAbsent);
  draft.pointer = pointer;
  for (const GivenValue& given : file_.rules.fixed) {
    draft.Set(given.field, given.value, ValueOrigin::kGiven);
  }
  return draft;
}

RunDraft DraftMaker::GridDraft(const RunDraft& start, size_t number) const {
  RunDraft draft = start;
  for (const GridAxis& axis : file_.rules.grid) {
    draft.Set(axis.field, axis.values[number % axis.values.size()], ValueOrigin::kGiven);
    number /= axis.values.size();
  }
  if (!generated_.empty()) {
    const GeneratedPoint& point = generated_[number];
    draft.Set("model", point.model, ValueOrigin::kGiven);
    draft.Set("samples_seen", point.samples_seen, ValueOrigin::kGiven);
  }
  return draft;
}

void DraftMaker::AddGridDrafts(std::vector<RunDraft>& drafts) {
  size_t size = file_.rules.GridSize();
  std::string pointer = file_.rules.grid.empty() ? "/fixed" : "/grid";
  if (file_.rules.generate) {
    pointer = "/generate";
    generated_ = GeneratePoints(*file_.rules.generate, file_.catalog);
    size *= generated_.size();
  }
  const RunDraft start = Start(pointer);
  if (file_.rules.generate && file_.rules.generate->cooldown_share) {
    AddTrunksAndBranches(start, drafts);
    return;
  }
  for (size_t number = 0; number < size; ++number) {
    AddIfWanted(GridDraft(start, number), drafts);
  }
}

void DraftMaker::AddIfWanted(RunDraft draft, std::vector<RunDraft>& drafts) {
  if (completer_.Complete(draft) && !Excluded(draft)) drafts.push_back(std::move(draft));
}

void DraftMaker::AddTrunksAndBranches(const RunDraft& start, std::vector<RunDraft>& drafts) {
  std::map<std::string, std::vector<int64_t>> lengths;  // model → ascending
  for (const GeneratedPoint& point : generated_) lengths[point.model].push_back(point.samples_seen);
  generated_.clear();  // combinations below are of the grid's axes alone
  const double share_of_trunk = 1 - *file_.rules.generate->cooldown_share;
  for (const auto& [model, samples] : lengths) {
    for (size_t number = 0; number < file_.rules.GridSize(); ++number) {
      RunDraft trunk = GridDraft(start, number);
      const double longest = std::round(static_cast<double>(samples.back()) * share_of_trunk);
      trunk.Set("model", model, ValueOrigin::kGiven);
      trunk.Set("samples_seen", static_cast<int64_t>(longest), ValueOrigin::kGiven);
      trunk.Set("schedule", "constant", ValueOrigin::kGiven);
      if (!completer_.Complete(trunk) || Excluded(trunk)) continue;
      drafts.push_back(trunk);
      for (const int64_t length : samples) AddIfWanted(Branch(trunk, length), drafts);
    }
  }
}

// All values are the trunk's, derived ones too, but for what makes it a branch.
RunDraft DraftMaker::Branch(const RunDraft& trunk, int64_t samples) const {
  const double share_of_trunk = 1 - *file_.rules.generate->cooldown_share;
  const auto wanted =
      static_cast<int64_t>(std::round(static_cast<double>(samples) * share_of_trunk));
  const int64_t batch = trunk.spec.global_batch_size;
  const int64_t fork = std::min(RealisedSamples(wanted, batch), trunk.spec.samples_seen);
  RunDraft branch = trunk;
  const Json from = {{"samples_seen", trunk.Value("samples_seen")},
                     {"schedule", "constant"},
                     {"warmup_steps", trunk.Value("warmup_steps")},
                     {"start", "scratch"}};
  const auto set = [&](std::string_view field, Json value) {
    branch.Set(field, std::move(value), ValueOrigin::kGiven);
  };
  set("samples_seen", std::max<int64_t>(samples - fork, 1));
  set("schedule", "cosine");
  set("warmup_steps", 0);
  set("start", {{"from", from}, {"at", fork}});
  return branch;
}

void DraftMaker::KeepToBudget(double budget_gmacs, std::vector<RunDraft>& drafts) {
  const auto cost = [&](const RunDraft& draft) {
    const RunSpec& spec = draft.spec;
    return CountForwardGmacs(spec.model, spec.reduction).total() *
           static_cast<double>(spec.samples_seen);
  };
  std::stable_sort(drafts.begin(), drafts.end(), [&](const RunDraft& a, const RunDraft& b) {
    return cost(a) < cost(b);
  });
  double total = 0;
  size_t kept = 0;
  while (kept < drafts.size() && total + cost(drafts[kept]) <= budget_gmacs) {
    total += cost(drafts[kept++]);
  }
  if (kept == drafts.size()) return;
  reader_.Warn(
      "/generate/budget_gmacs",
      fmt::format(
          "{} of {} runs fit; the others, the most expensive, are left out", kept, drafts.size()));
  drafts.erase(drafts.begin() + static_cast<std::ptrdiff_t>(kept), drafts.end());
}

std::vector<RunDraft> DraftMaker::IncludedDrafts() const {
  std::vector<RunDraft> drafts;
  for (const IncludedRun& run : file_.rules.include) {
    RunDraft draft = Start(run.pointer);
    for (const GivenValue& given : run.values) {
      draft.Set(given.field, given.value, ValueOrigin::kGiven);
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

bool DraftMaker::Excluded(const RunDraft& draft) {
  bool excluded = false;
  for (size_t i = 0; i < file_.rules.exclude.size(); ++i) {
    if (!Matches(file_.rules.exclude[i], draft)) continue;
    exclusion_matched_[i] = true;
    excluded = true;
  }
  return excluded;
}

}  // namespace sweep
