#include "orchestrator/allocation_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/compute.h"
#include "core/failure.h"
#include "core/files.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/expand.h"

namespace sweep {
namespace {

constexpr double kNear = 2;  // a named model within this factor of the best size

std::vector<AllocatedModel> NearestModels(const Catalog& catalog,
                                          const AllocationRequest& request) {
  std::vector<AllocatedModel> models;
  for (const auto& [name, definition] : catalog.models) {
    const auto params = static_cast<double>(CountParameters(definition.spec).total());
    models.push_back(
        {name, params, request.budget_gmacs / CountForwardGmacs(definition.spec).total()});
  }
  const auto distance = [&](const AllocatedModel& m) {
    return std::abs(std::log(m.params / request.best_params));
  };
  std::sort(models.begin(), models.end(), [&](const AllocatedModel& a, const AllocatedModel& b) {
    return distance(a) != distance(b) ? distance(a) < distance(b) : a.model < b.model;
  });
  if (models.size() > request.models) models.resize(request.models);
  std::sort(models.begin(), models.end(), [](const AllocatedModel& a, const AllocatedModel& b) {
    return a.params < b.params;
  });
  return models;
}

Json Template(const AllocationRequest& request) {
  if (!request.like.empty()) return ReadJsonFile(request.like);
  if (request.dataset.empty()) {
    throw Failure(FailureCode::kUsage,
                  "--write needs --like FILE (a sweep file to take data set, rates and evaluations "
                  "from) or --dataset NAME");
  }
  return {{"version", 1},
          {"fixed",
           {{"dataset", request.dataset},
            {"global_batch_size", request.global_batch_size},
            {"learning_rate", request.learning_rate}}},
          {"derive", {{"warmup_steps", "min(2000, 0.1 * steps)"}}}};
}

// Models and lengths come from the allocation alone, whatever the template had.
void Clear(Json& document) {
  for (const char* section : {"generate", "include", "exclude", "$schema"}) document.erase(section);
  for (const char* section : {"grid", "fixed", "derive"}) {
    if (!document.contains(section)) continue;
    document[section].erase("model");
    document[section].erase("samples_seen");
    if (document[section].empty()) document.erase(section);
  }
}

}  // namespace

AllocationSweep MakeAllocationSweep(const AllocationRequest& request,
                                    const std::filesystem::path& folder) {
  AllocationSweep sweep;
  sweep.document = Template(request);
  Clear(sweep.document);
  const Catalog catalog = LoadCatalog(DataPath(""));
  sweep.models = NearestModels(catalog, request);
  Json names = Json::array();
  double nearest = std::numeric_limits<double>::infinity();
  for (const AllocatedModel& model : sweep.models) {
    names.push_back(model.model);
    nearest = std::min(nearest, std::abs(std::log(model.params / request.best_params)));
  }
  if (nearest > std::log(kNear)) {
    sweep.warning = fmt::format(
        "no named model is within a factor of {} of {:.3g} parameters: define one under `models`",
        kNear,
        request.best_params);
  }
  sweep.document["name"] = request.name;
  sweep.document["description"] = fmt::format(
      "One budget of {:.6g} forward GMACs for each model; the law's best size there is "
      "{:.4g} parameters.",
      request.budget_gmacs,
      request.best_params);
  sweep.document["generate"] = {
      {"models", names},
      {"compute_gmacs",
       {{"from", request.budget_gmacs}, {"to", request.budget_gmacs}, {"count", 1}}}};
  ProblemList problems;
  const SweepFile file =
      ParseSweepFile(sweep.document.dump(1), folder / "allocation.json", catalog, problems);
  problems.ThrowIfErrors();
  (void)Expand(file, problems);
  problems.ThrowIfErrors();
  return sweep;
}

}  // namespace sweep
