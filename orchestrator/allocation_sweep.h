#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/sweep_file/catalog.h"

namespace sweep {

/// What is asked of the sweep file for a budget.
struct AllocationRequest {
  double budget_gmacs = 0;  ///< forward GMACs of one run
  double best_params = 0;   ///< the size to bracket
  std::size_t models = 5;
  std::string name = "allocation";
  std::string like;  ///< sweep file that gives everything but models and lengths; empty: defaults
  std::string dataset;  ///< without `like`
  double learning_rate = 5e-4;
  int64_t global_batch_size = 32768;
};

/// One run of the file: a named model and what the budget pays for.
struct AllocatedModel {
  std::string model;
  double params = 0;
  double samples = 0;
};

struct AllocationSweep {
  Json document;
  std::vector<AllocatedModel> models;  ///< by growing size
  std::string warning;                 ///< when no named model is near the best size; else empty
};

/// A sweep file of one iso-FLOP profile at the budget: the named models nearest to the best size
/// (in the logarithm), each seeing as many samples as the budget pays for. Checked as `sweep
/// validate` does, as if it lay in `folder`. Throws Failure(kUsage) with every problem.
[[nodiscard]] AllocationSweep MakeAllocationSweep(const AllocationRequest& request,
                                                  const std::filesystem::path& folder);

}  // namespace sweep
