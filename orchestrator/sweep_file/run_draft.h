#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/run_spec.h"
#include "orchestrator/sweep_file/field_reader.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// How a run came to a value. Derived and default values follow from others, so they do not tell
/// runs apart when one run looks for another.
enum class ValueOrigin { kAbsent, kGiven, kDerived, kDefault };

/// A run on the way from fields to a spec.
struct RunDraft {
  std::vector<Json> values;          ///< one for each of RunFields()
  std::vector<ValueOrigin> origins;  ///< likewise
  std::string pointer;               ///< the part of the file that asks for it
  RunSpec spec;                      ///< all but `start`, which other runs decide

  [[nodiscard]] const Json& Value(std::string_view field) const;
  [[nodiscard]] int64_t Count(std::string_view field) const { return Value(field).get<int64_t>(); }
  [[nodiscard]] double Number(std::string_view field) const { return Value(field).get<double>(); }
  [[nodiscard]] std::string Text(std::string_view field) const {
    return Value(field).get<std::string>();
  }
  /// "model scenes-s, dataset fashion_scenes, …": the given values, for messages.
  [[nodiscard]] std::string Describe() const;
};

/// Makes drafts of all the runs a file asks for, exclusions done.
class DraftMaker {
 public:
  /// Both must outlive it.
  DraftMaker(const SweepFile& file, ProblemList& problems);
  [[nodiscard]] std::vector<RunDraft> Make();

 private:
  struct ModelFacts {
    double params = 0;
    double gmacs_per_sample = 0;
  };

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
  /// Fills in derived values and defaults, checks them, and makes the spec.
  [[nodiscard]] bool Complete(RunDraft& draft);
  bool Derive(const DerivedField& derived, RunDraft& draft);
  double Lookup(const std::string& name, RunDraft& draft);
  bool SetDefaults(RunDraft& draft);
  /// The data set's size by default, and never more.
  bool SetDataScale(RunDraft& draft);
  [[nodiscard]] bool MakeSpec(RunDraft& draft);
  [[nodiscard]] const ModelFacts& FactsOf(const std::string& model);
  struct Vocabulary {
    std::string content;  // its identity
    int64_t words = 0;    // 0: not known
  };
  [[nodiscard]] const Vocabulary& VocabularyOf(const DatasetDefinition& dataset);
  /// Throws Failure when the model cannot read the data set's or an evaluation's images or words.
  void CheckModelFits(const RunDraft& draft, const DatasetDefinition& dataset);
  /// Adds a problem once for each `kind` at a pointer, however many runs have it.
  void ErrorOnce(const std::string& kind, const std::string& pointer, const std::string& message);

  const SweepFile& file_;
  FieldReader reader_;
  std::map<std::string, ModelFacts> facts_;
  std::map<std::string, Vocabulary> vocabularies_;  // by file or declared identity
  std::vector<GeneratedPoint> generated_;
  std::vector<bool> exclusion_matched_;
  std::set<std::string> reported_;
};

/// Index of a run field that is known to exist.
[[nodiscard]] size_t RunFieldIndex(std::string_view name);

/// steps × batch: the samples that a run of at least `samples` sees.
[[nodiscard]] int64_t RealisedSamples(int64_t samples, int64_t batch);

}  // namespace sweep
