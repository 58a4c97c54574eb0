#pragma once

#include "orchestrator/sweep_file/expanded_sweep.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// The runs that a sweep file asks for: the grid's combinations less the excluded ones, and the
/// included ones; derived values computed, links between runs resolved, identities taken, equal
/// runs merged.
///
/// What is wrong with some run (a value missing or out of range, a data_scale larger than the data
/// set, a start that names no run, several, or the run itself) is added to `problems`, and the
/// result lacks runs then. An exclusion that matches nothing is a warning. Needs the vocabulary
/// files and start files, to identify them, but no training data.
[[nodiscard]] ExpandedSweep Expand(const SweepFile& file, ProblemList& problems);

/// The same; throws Failure(kUsage) with every error found.
[[nodiscard]] ExpandedSweep Expand(const SweepFile& file);

/// What `sweep validate` would find in a document that a command made, if it lay in `folder`.
[[nodiscard]] ProblemList ProblemsOf(const Json& document,
                                     const std::filesystem::path& folder,
                                     const Catalog& catalog);

}  // namespace sweep
