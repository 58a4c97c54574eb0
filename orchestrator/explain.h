#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/store.h"

namespace sweep {

/// A field of two runs' specs that is not the same. An absent one has its default.
struct SpecDifference {
  std::string field;  ///< as "/optimizer/learning_rate"
  std::string ours;
  std::string theirs;
};

/// Fields in which two specs (JSON as RunSpec's) differ, in the order of their names.
[[nodiscard]] std::vector<SpecDifference> CompareSpecs(const Json& ours, const Json& theirs);

struct Sibling {
  std::string run_id;
  std::vector<SpecDifference> differences;
};

/// The run of the store whose spec differs in the fewest fields, and of several such the one whose
/// numbers there are nearest by their ratios; nullopt where there is no other.
[[nodiscard]] std::optional<Sibling> NearestSibling(const Store& store, const std::string& run_id);

/// In one or two sentences: why a run is in the state it is in, and what would change that.
[[nodiscard]] std::string WhyInState(const Store& store, const std::string& run_id);

}  // namespace sweep
