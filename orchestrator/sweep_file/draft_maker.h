#pragma once

#include <string>
#include <vector>

#include "orchestrator/sweep_file/draft_completer.h"
#include "orchestrator/sweep_file/run_draft.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// Makes drafts of all the runs a file asks for, exclusions done.
class DraftMaker {
 public:
  /// Both must outlive it.
  DraftMaker(const SweepFile& file, ProblemList& problems);
  [[nodiscard]] std::vector<RunDraft> Make();

 private:
  [[nodiscard]] RunDraft Start(const std::string& pointer) const;
  /// Combination `number` of the generated pairs and the grid's axes, on top of `start`.
  [[nodiscard]] RunDraft GridDraft(const RunDraft& start, size_t number) const;
  void AddGridDrafts(std::vector<RunDraft>& drafts);
  void AddIfWanted(RunDraft draft, std::vector<RunDraft>& drafts);
  /// For every model and combination: a trunk at constant rate and its branches.
  void AddTrunksAndBranches(const RunDraft& start, std::vector<RunDraft>& drafts);
  [[nodiscard]] RunDraft Branch(const RunDraft& trunk, int64_t samples) const;
  /// Leaves out the most expensive drafts until the others together cost no more than the budget.
  void KeepToBudget(double budget_gmacs, std::vector<RunDraft>& drafts);
  [[nodiscard]] std::vector<RunDraft> IncludedDrafts() const;
  [[nodiscard]] bool Excluded(const RunDraft& draft);

  const SweepFile& file_;
  FieldReader reader_;
  DraftCompleter completer_;
  std::vector<GeneratedPoint> generated_;
  std::vector<bool> exclusion_matched_;
};

}  // namespace sweep
