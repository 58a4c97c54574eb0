#include "orchestrator/cli/fit_curves.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"
#include "orchestrator/data_files.h"

namespace sweep {
namespace {

// Rows of `from` below those of `to`, under the union of their columns.
void Append(const Table& from, Table& to) {
  for (const std::string& column : from.columns) {
    if (to.Has(column)) continue;
    to.columns.push_back(column);
    for (auto& row : to.rows) row.emplace_back();
  }
  for (std::size_t r = 0; r < from.rows.size(); ++r) {
    std::vector<std::string> row(to.columns.size());
    for (std::size_t c = 0; c < from.columns.size(); ++c)
      row[to.Find(from.columns[c])] = from.rows[r][c];
    to.rows.push_back(std::move(row));
    to.labels.push_back(from.labels[r]);
  }
}

Curve ReadCurve(const std::string& name, const Json& json) {
  Curve curve;
  curve.name = name;
  curve.where = json.at("where").get<std::map<std::string, std::vector<std::string>>>();
  curve.select = json.value("select", "all");
  return curve;
}

// Only the rows of the curve, with the metric asked for or its task's main one.
class CurveRows {
 public:
  CurveRows(const Table& table,
            const Curve& curve,
            const PublishedCurves& published,
            const FitWords& words)
      : table_(table), published_(published), words_(words) {
    for (const auto& [column, values] : curve.where)
      conditions_.push_back({Column(column), &values});
    task_ = Column("task");
    set_ = Column("eval_dataset");
    metric_ = Column("metric");
  }

  [[nodiscard]] Table Rows() const {
    Table rows;
    rows.columns = table_.columns;
    rows.origin = table_.origin;
    rows.holes = table_.holes;
    for (std::size_t r = 0; r < table_.rows.size(); ++r) {
      if (!Wanted(table_.rows[r])) continue;
      rows.rows.push_back(table_.rows[r]);
      rows.labels.push_back(table_.labels[r]);
    }
    return rows;
  }

 private:
  struct Condition {
    std::size_t column;
    const std::vector<std::string>* values;
  };

  std::size_t Column(const std::string& name) const {
    const std::size_t index = table_.Find(name);
    if (index < table_.columns.size()) return index;
    throw Failure(FailureCode::kUsage,
                  fmt::format("compare needs a column '{}'; {} has {}",
                              name,
                              table_.origin,
                              fmt::join(table_.columns, ", ")));
  }

  [[nodiscard]] bool Wanted(const std::vector<std::string>& row) const {
    for (const auto& [column, values] : conditions_) {
      if (std::find(values->begin(), values->end(), row[column]) == values->end()) return false;
    }
    return row[metric_] == MainMetric(row);
  }

  [[nodiscard]] std::string MainMetric(const std::vector<std::string>& row) const {
    if (!words_.query.metric.empty()) return words_.query.metric;
    const auto of_set = published_.metric_by_eval_dataset.find(row[set_]);
    if (of_set != published_.metric_by_eval_dataset.end()) return of_set->second;
    const auto of_task = published_.metric_by_task.find(row[task_]);
    return of_task != published_.metric_by_task.end() ? of_task->second : row[metric_];
  }

  const Table& table_;
  const PublishedCurves& published_;
  const FitWords& words_;
  std::vector<Condition> conditions_;
  std::size_t task_, set_, metric_;
};

}  // namespace

PublishedCurves LoadPublishedCurves() {
  const Json json = ReadJsonFile(DataPath("published/curves.json").string());
  PublishedCurves published;
  for (const auto& [name, curve] : json.at("curves").items())
    published.curves.push_back(ReadCurve(name, curve));
  published.metric_by_task = json.at("metrics").get<std::map<std::string, std::string>>();
  published.metric_by_eval_dataset =
      json.at("metric_by_eval_dataset").get<std::map<std::string, std::string>>();
  published.rows.origin = "the published table";
  for (const Json& table : json.at("tables")) {
    Append(ReadCsv(DataPath(table.get<std::string>()).string()), published.rows);
  }
  return published;
}

CurvePoints PointsOfCurve(const Table& table,
                          const Curve& curve,
                          const PublishedCurves& published,
                          const FitWords& words) {
  CurvePoints points;
  points.rows = CurveRows(table, curve, published, words).Rows();
  PointQuery query = words.query;
  query.curve.clear();
  query.metric.clear();
  query.by = {"task", "eval_dataset", "metric"};
  if (points.rows.rows.empty()) return points;
  for (PointGroup& group : MakeGroups(points.rows, query, FindLaw("power"))) {
    CurveCell cell;
    cell.curve = curve.name;
    cell.task = group.group.at("task");
    cell.eval_dataset = group.group.at("eval_dataset");
    cell.metric = group.group.at("metric");
    cell.select = words.select.empty() ? curve.select : words.select;
    cell.group = std::move(group);
    points.cells.push_back(std::move(cell));
  }
  return points;
}

}  // namespace sweep
