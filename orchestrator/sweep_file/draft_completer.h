#pragma once

#include <map>
#include <set>
#include <string>

#include "orchestrator/sweep_file/field_reader.h"
#include "orchestrator/sweep_file/run_draft.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// Fills in what a draft does not say: derived values, defaults, and from them the spec.
class DraftCompleter {
 public:
  /// Both must outlive it.
  DraftCompleter(const SweepFile& file, ProblemList& problems);

  /// False, and problems, when a value is missing or does not fit.
  [[nodiscard]] bool Complete(RunDraft& draft);

 private:
  struct ModelFacts {
    double params = 0;
    double gmacs_per_sample = 0;
  };
  struct Vocabulary {
    std::string content;  // its identity
    int64_t size = 0;     // ids; 0: not known
  };

  bool Derive(const DerivedField& derived, RunDraft& draft);
  /// Throws Failure(kUsage) when the field is to be derived and cannot be.
  void DeriveIfWanted(size_t field, RunDraft& draft);
  double Lookup(const std::string& name, RunDraft& draft);
  bool SetDefaults(RunDraft& draft);
  /// Fields whose default is the model's own value.
  void SetModelFields(RunDraft& draft) const;
  /// The data set's size by default, and never more.
  bool SetDataScale(RunDraft& draft);
  [[nodiscard]] bool MakeSpec(RunDraft& draft);
  /// Throws Failure when the model cannot read the data set's or an evaluation's images or words.
  void CheckModelFits(const RunDraft& draft, const DatasetDefinition& dataset);
  /// The named model with the draft's own dimensions laid over it.
  [[nodiscard]] ModelSpec ModelOf(const RunDraft& draft) const;
  [[nodiscard]] TokenReductionSpec ReductionOf(const RunDraft& draft,
                                               const DatasetDefinition& dataset) const;
  /// Of the model as the run trains it; fields that decide it and are derived come first.
  [[nodiscard]] const ModelFacts& FactsOf(RunDraft& draft);
  [[nodiscard]] const Vocabulary& VocabularyOf(const DatasetDefinition& dataset);
  /// Adds a problem once for each `kind` at a pointer, however many runs have it.
  void ErrorOnce(const std::string& kind, const std::string& pointer, const std::string& message);

  const SweepFile& file_;
  FieldReader reader_;
  std::map<std::string, ModelFacts> facts_;         // by what decides them
  std::map<std::string, Vocabulary> vocabularies_;  // by file or declared identity
  std::set<std::string> reported_;
};

}  // namespace sweep
