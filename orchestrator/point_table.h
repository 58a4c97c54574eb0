#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/law.h"
#include "fit/points.h"
#include "fit/report.h"
#include "orchestrator/csv.h"
#include "orchestrator/point_kind.h"

namespace sweep {

/// How rows become points of a law: the words of the command line.
struct PointQuery {
  std::string map = {};  ///< "N=params,D=flop/(6*N),L=loss"; empty: the store's own columns
  std::vector<std::string> where = {};  ///< "flops>1e18", "model!=ViT-B-32": every one must hold
  /// Columns that make a group; empty with a map: one group, without: the default key.
  std::vector<std::string> by = {};
  std::string curve = {};   ///< only rows of this curve
  std::string metric = {};  ///< only rows of this metric
  /// A column or expression, or a word of FindWeighting (for the fit to resolve); empty: ones.
  std::string weights = {};
  /// A column that names what repeats; empty: `model`, where there is one.
  std::string cluster = {};
  std::string sample_size = {};  ///< column; empty: `sample_size`, where there is one
  std::vector<std::string> covariates =
      {};  ///< settings; empty: learning rate, batch size, … where there
  /// point_kind to fit: final, cooldown, trunk, intermediate or all; empty: each group's usual one
  /// (orchestrator/point_kind.h).
  std::string kind = {};
};

/// The points of one group, with the rows left out and why, and the table's row of each point.
struct PointGroup {
  Json group = Json::object();  ///< column -> value of the columns grouped by
  PointTable points;
  std::vector<ExcludedPoint> excluded;
  std::vector<std::string> warnings;
  std::vector<std::size_t> rows;
  std::string kind = {};           ///< that was asked for, or its usual one; empty: rows have none
  KindCounts kinds_left_out = {};  ///< ends of runs that are of other kinds
  std::vector<std::pair<std::size_t, std::string>> missing =
      {};  ///< rows left out for an empty cell, why
};

/// Is this a name that --map gives to what is observed (E, L, drop, y)?
[[nodiscard]] bool IsObservable(const std::string& name);

/// Splits "a=b,c=max(d,e)" at the commas outside brackets and quotes, and each part at its first
/// "=". Throws Failure(kUsage) naming `option`.
struct Assignment {
  std::string name;
  std::string value;
};
[[nodiscard]] std::vector<Assignment> ParseAssignments(const std::string& text,
                                                       const std::string& option);

/// Rows to points, in order of first appearance of each group. Cells that are empty, NA, N/A or
/// null leave their row out with that reason; other text where a number is needed is refused.
/// Without a map: C = compute_gmacs, N = params, D = samples_seen, B = global_batch_size, U =
/// data_scale, and E = 1 - value for metrics that rise to 1 (L = value for losses); groups are
/// (curve, task, eval_dataset, metric); points of one kind enter.
/// Throws Failure(kUsage) for names the table does not have (it lists those it has), Failure(kData)
/// for cells.
[[nodiscard]] std::vector<PointGroup> MakeGroups(const Table& table,
                                                 const PointQuery& query,
                                                 const Law& law);

/// Puts the group's key, rows left out and warnings into the report of its fit.
void TellOfGroup(const PointGroup& group, FitReport& report);

/// True for each task's usual metric, which is meant where none is named.
[[nodiscard]] bool IsMainMetric(const std::string& metric);

/// True for accuracies, recalls and precisions: bounded by 1, the higher the better.
[[nodiscard]] bool IsBoundedUp(const std::string& metric);

}  // namespace sweep
