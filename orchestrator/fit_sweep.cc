#include "orchestrator/fit_sweep.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/cores.h"
#include "core/failure.h"
#include "fit/fit.h"
#include "orchestrator/point_table.h"

namespace sweep {
namespace {

constexpr const char* kPointsOfSweep =
    "SELECT points.* FROM points JOIN sweep_runs ON sweep_runs.run_id = points.run AND "
    "sweep_runs.curve = points.curve "
    "WHERE sweep_runs.sweep_id = ?1 ORDER BY points.curve, task, eval_dataset, metric, "
    "compute_gmacs, run";

Table PointsOfSweep(const Store& store, const std::string& sweep_id) {
  Table table;
  static_cast<QueryTable&>(table) = store.Query(kPointsOfSweep, {sweep_id});
  table.origin = "the store " + store.root().string();
  for (size_t row = 0; row < table.rows.size(); ++row)
    table.labels.push_back(fmt::format("point {}", row + 1));
  NameRows(table);
  return table;
}

bool Wants(const std::vector<std::string>& wanted, const std::string& value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

bool Wants(const FitRequest& request, const Json& group) {
  const std::string metric = group.at("metric");
  return Wants(request.curves, group.at("curve")) &&
         Wants(request.evaluations, group.at("eval_dataset")) &&
         (request.metrics.empty() ? IsMainMetric(metric) : Wants(request.metrics, metric));
}

FitOptions MakeOptions(const FitRequest& request) {
  FitOptions options;
  if (!request.law.empty()) options.law = request.law;
  if (!request.select.empty()) options.select = ParseSelection(request.select);
  if (!request.residual.empty()) options.residual = ParseResidual(request.residual);
  if (!request.loss.empty()) options.loss = ParseLoss(request.loss);
  if (!request.intervals.empty()) options.intervals = ParseIntervals(request.intervals);
  options.level = request.level;
  for (const auto& [parameter, value] : request.fix.items())
    options.fix[parameter] = value.get<double>();
  for (const auto& [parameter, range] : request.bounds.items()) {
    options.bounds[parameter] = {range.at(0).get<double>(), range.at(1).get<double>()};
  }
  options.threads = static_cast<int>(UsableCores());
  return options;
}

std::string GroupText(const Json& group) {
  return fmt::format("{}, {}, {}",
                     group.at("curve").get<std::string>(),
                     group.at("eval_dataset").get<std::string>(),
                     group.at("metric").get<std::string>());
}

void FitOne(const Table& table, const FitRequest& request, SweepFits& fits) {
  const FitOptions options = MakeOptions(request);
  const PointQuery query{.kind = request.kind};
  std::vector<PointGroup> groups = MakeGroups(table, query, FindLaw(options.law));
  std::erase_if(groups, [&](const PointGroup& group) { return !Wants(request, group.group); });
  std::vector<PointTable> tables;
  for (const PointGroup& group : groups) tables.push_back(group.points);
  std::vector<FitOutcome> outcomes = FitAll(tables, options);
  for (size_t i = 0; i < groups.size(); ++i) {
    if (outcomes[i].report) {
      TellOfGroup(groups[i], *outcomes[i].report);
      fits.reports.push_back(std::move(*outcomes[i].report));
    } else {
      fits.problems.push_back(
          fmt::format("{}, {}: {}", options.law, GroupText(groups[i].group), outcomes[i].failure));
    }
  }
}

}  // namespace

void CheckFitRequests(const std::vector<FitRequest>& requests) {
  for (size_t i = 0; i < requests.size(); ++i) {
    try {
      (void)FindLaw(MakeOptions(requests[i]).law);
    } catch (const Failure& failure) {
      throw Failure(FailureCode::kUsage, fmt::format("/fits/{}: {}", i, failure.what()));
    }
  }
}

SweepFits FitSweep(Store& store,
                   const std::string& sweep_id,
                   const std::vector<FitRequest>& requests) {
  SweepFits fits;
  const Table table = PointsOfSweep(store, sweep_id);
  if (table.rows.empty()) return fits;
  for (const FitRequest& request : requests) FitOne(table, request, fits);
  std::map<std::string, Json> reports;
  for (const FitReport& report : fits.reports) reports[report.id] = ToJson(report);
  StoreTransaction transaction(store);
  transaction.ReplaceFits(sweep_id, reports);
  transaction.Commit();
  return fits;
}

}  // namespace sweep
