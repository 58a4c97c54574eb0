#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/cli/fit_options.h"

namespace sweep {

/// A named selector over rows with its default recipe: sweeps/published/curves.json, or rows whose
/// `curve` column has the name.
struct Curve {
  std::string name;
  std::map<std::string, std::vector<std::string>> where;  ///< column -> accepted values
  std::string select = "all";
};

/// The shipped curves with the rows they select from.
struct PublishedCurves {
  std::vector<Curve> curves;
  std::map<std::string, std::string> metric_by_task;
  std::map<std::string, std::string> metric_by_eval_dataset;
  Table rows;  ///< all their tables, one below the other; columns a table lacks are empty
};
[[nodiscard]] PublishedCurves LoadPublishedCurves();

/// Rows of one curve and one evaluation set, ready to fit, with the recipe.
struct CurveCell {
  std::string curve;
  std::string task;
  std::string eval_dataset;
  std::string metric;
  std::string select;
  PointGroup group;  ///< rows index into CurvePoints::rows
};

/// A curve's rows and its cells, one for each evaluation set.
struct CurvePoints {
  Table rows;
  std::vector<CurveCell> cells;
};

/// The rows `where` of a curve selects, for the given metric of each task ("" : the task's
/// default), cut into cells. `table` needs compute_gmacs, task, eval_dataset, metric and value.
[[nodiscard]] CurvePoints PointsOfCurve(const Table& table,
                                        const Curve& curve,
                                        const PublishedCurves& published,
                                        const FitWords& words);

/// The curves that a command speaks of, with their cells:
/// - with --map, groups of the table: the first column of --by names the curve, further ones the
///   evaluation set; `names` keeps some of them;
/// - else curves of the table or store by their `curve` column, or published ones; without `names`
///   the store's, or openai and laion.
/// Throws Failure(kUsage) for a curve that there is not, and for --map without --by.
[[nodiscard]] std::vector<CurvePoints> CollectCurves(const GlobalOptions& global,
                                                     const FitWords& words,
                                                     const std::vector<std::string>& names);

/// One evaluation set's cell of one curve. Refers to both.
struct CellMember {
  const CurvePoints* curve;
  const CurveCell* cell;
};
using CellMembers = std::vector<CellMember>;

/// The cells of all curves by evaluation set, in order of first appearance.
[[nodiscard]] std::vector<CellMembers> CellsOfCurves(const std::vector<CurvePoints>& curves);

}  // namespace sweep
