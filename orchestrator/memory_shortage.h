#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/cost_model.h"

namespace sweep {

/// Runs whose training, by its estimate, does not fit a GPU of the workplace.
struct MemoryShortage {
  double gpu_bytes = 0;             ///< of one GPU
  std::vector<const RunRow*> runs;  ///< that do not fit, in the plan's order
  double most_bytes = 0;            ///< that a process of one of them takes
  /// The trainer's settings with which, by the same estimate, all would fit, changed as little as
  /// possible: activations computed again before smaller pieces, pieces before sharding. nullopt:
  /// there are none.
  std::optional<TrainerSettings> remedy;
  double remedy_bytes = 0;  ///< what a process would take at most with it
};

/// nullopt where all runs to be trained fit, and where there is no GPU to hold them against.
[[nodiscard]] std::optional<MemoryShortage> FindMemoryShortage(
    const std::vector<RunWork>& remaining,
    const SweepJob& job,
    const Workplace& workplace,
    const PlanCost& cost);

/// The remedy as a sweep file says it: `"trainer": {"recompute": "blocks"}`; what to do else, where
/// there is none.
[[nodiscard]] std::string AdviceText(const MemoryShortage& shortage,
                                     const TrainerSettings& present);

}  // namespace sweep
