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

Json WithModels(Json document,
                const AllocationRequest& request,
                const std::vector<std::string>& models) {
  document["generate"] = {
      {"models", models},
      {"compute_gmacs",
       {{"from", request.budget_gmacs}, {"to", request.budget_gmacs}, {"count", 1}}}};
  return document;
}

// Named models, shipped or the document's own, by distance of their size from the best.
std::vector<AllocatedModel> ModelsByDistance(const Json& document,
                                             const AllocationRequest& request,
                                             const std::filesystem::path& folder,
                                             const Catalog& shipped) {
  ProblemList ignored;
  const SweepFile file =
      ParseSweepFile(document.dump(1), folder / "allocation.json", shipped, ignored);
  const Catalog& catalog = file.catalog.models.empty() ? shipped : file.catalog;
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
  return models;
}

// The nearest models that this data set and these settings can train: images of its size, a length
// of at least a batch.
std::vector<AllocatedModel> NearestUsable(const Json& document,
                                          const AllocationRequest& request,
                                          const std::filesystem::path& folder) {
  const Catalog catalog = LoadCatalog(DataPath(""));
  std::vector<AllocatedModel> usable;
  std::optional<ProblemList> first;
  for (const AllocatedModel& model : ModelsByDistance(document, request, folder, catalog)) {
    const ProblemList problems =
        ProblemsOf(WithModels(document, request, {model.model}), folder, catalog);
    if (!problems.has_errors()) usable.push_back(model);
    if (problems.has_errors() && !first) first = problems;
    if (usable.size() == request.models) break;
  }
  if (usable.empty() && first) first->ThrowIfErrors();
  std::sort(usable.begin(), usable.end(), [](const AllocatedModel& a, const AllocatedModel& b) {
    return a.params < b.params;
  });
  return usable;
}

}  // namespace

AllocationSweep MakeAllocationSweep(const AllocationRequest& request,
                                    const std::filesystem::path& folder) {
  AllocationSweep sweep;
  sweep.document = Template(request);
  Clear(sweep.document);
  sweep.document["name"] = request.name;
  sweep.models = NearestUsable(sweep.document, request, folder);
  std::vector<std::string> names;
  double nearest = std::numeric_limits<double>::infinity();
  for (const AllocatedModel& model : sweep.models) {
    names.push_back(model.model);
    nearest = std::min(nearest, std::abs(std::log(model.params / request.best_params)));
  }
  if (nearest > std::log(kNear)) {
    sweep.warning = fmt::format(
        "no named model that fits this data set is within a factor of {} of {:.3g} parameters: "
        "define one "
        "under `models`",
        kNear,
        request.best_params);
  }
  sweep.document["description"] = fmt::format(
      "One budget of {:.6g} forward GMACs for each model; the law's best size there is "
      "{:.4g} parameters.",
      request.budget_gmacs,
      request.best_params);
  sweep.document = WithModels(std::move(sweep.document), request, names);
  ProblemsOf(sweep.document, folder, LoadCatalog(DataPath(""))).ThrowIfErrors();
  return sweep;
}

}  // namespace sweep
