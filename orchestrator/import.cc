#include "orchestrator/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/compute.h"
#include "core/expression.h"
#include "core/failure.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/catalog.h"

namespace sweep {
namespace {

// The fields of a point under their names: the one list that mapping and reading go by.
const std::map<std::string, std::string ImportedPoint::*>& TextFields() {
  static const std::map<std::string, std::string ImportedPoint::*> fields = {
      {"curve", &ImportedPoint::curve},
      {"run", &ImportedPoint::run},
      {"model", &ImportedPoint::model},
      {"dataset", &ImportedPoint::dataset},
      {"schedule", &ImportedPoint::schedule},
      {"point_kind", &ImportedPoint::point_kind},
      {"task", &ImportedPoint::task},
      {"eval_dataset", &ImportedPoint::eval_dataset},
      {"metric", &ImportedPoint::metric},
  };
  return fields;
}

const std::map<std::string, std::optional<int64_t> ImportedPoint::*>& CountFields() {
  static const std::map<std::string, std::optional<int64_t> ImportedPoint::*> fields = {
      {"data_scale", &ImportedPoint::data_scale},
      {"samples_seen", &ImportedPoint::samples_seen},
      {"params", &ImportedPoint::params},
      {"global_batch_size", &ImportedPoint::global_batch_size},
      {"seed", &ImportedPoint::seed},
      {"sample_size", &ImportedPoint::sample_size},
  };
  return fields;
}

const std::map<std::string, std::optional<double> ImportedPoint::*>& NumberFields() {
  static const std::map<std::string, std::optional<double> ImportedPoint::*> fields = {
      {"gmacs_per_sample", &ImportedPoint::gmacs_per_sample},
      {"compute_gmacs", &ImportedPoint::compute_gmacs},
      {"train_flops", &ImportedPoint::train_flops},
      {"learning_rate", &ImportedPoint::learning_rate},
  };
  return fields;
}

bool IsField(const std::string& name) {
  return name == "value" || TextFields().contains(name) || CountFields().contains(name) ||
         NumberFields().contains(name);
}

bool IsEmptyCell(const std::string& cell) {
  return cell.empty() || cell == "NA" || cell == "N/A" || cell == "NaN" || cell == "nan" ||
         cell == "null";
}

std::optional<double> ParseNumber(const std::string& cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

[[noreturn]] void FailRow(const Table& table, size_t row, const std::string& what) {
  throw Failure(FailureCode::kData,
                fmt::format("{}, {}: {}", table.origin, table.labels.at(row), what));
}

// Reads one row's values by our names, through mapping, settings and equal column names.
class RowReader {
 public:
  RowReader(const Table& table, const ImportMapping& mapping) : table_(table), mapping_(mapping) {
    for (const auto& [name, text] : mapping.map) {
      CheckName(name, "--map");
      if (TextFields().contains(name)) {
        RequireColumn(text);
      } else {
        const Expression& expression = expressions_.emplace(name, Expression(text)).first->second;
        for (const std::string& column : expression.names()) RequireColumn(column);
      }
    }
    for (const auto& [name, text] : mapping.set) CheckName(name, "--set");
    for (const std::string& column : mapping.metrics) RequireColumn(column);
  }

  [[nodiscard]] std::string Text(const std::string& name, size_t row) const {
    if (const auto set = mapping_.set.find(name); set != mapping_.set.end()) return set->second;
    const auto mapped = mapping_.map.find(name);
    const std::string& column = mapped == mapping_.map.end() ? name : mapped->second;
    return table_.Has(column) ? table_.rows[row][table_.Find(column)] : "";
  }

  [[nodiscard]] std::optional<double> Number(const std::string& name, size_t row) const {
    if (const auto set = mapping_.set.find(name); set != mapping_.set.end())
      return Parse(set->second, name, row);
    if (const auto mapped = expressions_.find(name); mapped != expressions_.end())
      return Evaluate(mapped->second, row);
    if (!table_.Has(name)) return std::nullopt;
    const std::string& cell = table_.rows[row][table_.Find(name)];
    if (IsEmptyCell(cell)) return std::nullopt;
    return Parse(cell, name, row);
  }

  [[nodiscard]] std::optional<int64_t> Count(const std::string& name, size_t row) const {
    const std::optional<double> number = Number(name, row);
    if (!number) return std::nullopt;
    if (!(std::abs(*number) < 9e18))
      FailRow(table_, row, fmt::format("{} is {}, expected a whole number", name, *number));
    return static_cast<int64_t>(std::llround(*number));
  }

 private:
  static void CheckName(const std::string& name, const char* option) {
    if (IsField(name)) return;
    throw Failure(
        FailureCode::kUsage,
        fmt::format(
            "{} {}=…: the store's points have no such field; `sweep import --help` lists them",
            option,
            name));
  }

  void RequireColumn(const std::string& column) const {
    if (table_.Has(column)) return;
    throw Failure(FailureCode::kUsage,
                  fmt::format("{} has no column '{}'; it has: {}",
                              table_.origin,
                              column,
                              fmt::join(table_.columns, ", ")));
  }

  [[nodiscard]] double Parse(const std::string& cell, const std::string& name, size_t row) const {
    const std::optional<double> value = ParseNumber(cell);
    if (!value || !std::isfinite(*value)) {
      FailRow(table_, row, fmt::format("{} is '{}', expected a number", name, cell));
    }
    return *value;
  }

  // Nothing when one of the columns is empty in this row.
  [[nodiscard]] std::optional<double> Evaluate(const Expression& expression, size_t row) const {
    for (const std::string& column : expression.names()) {
      if (IsEmptyCell(table_.rows[row][table_.Find(column)])) return std::nullopt;
    }
    return expression.Evaluate([&](const std::string& column) {
      return Parse(table_.rows[row][table_.Find(column)], column, row);
    });
  }

  const Table& table_;
  const ImportMapping& mapping_;
  std::map<std::string, Expression> expressions_;
};

// Everything of a point but its metric and value.
ImportedPoint ReadCoordinates(const RowReader& reader, size_t row) {
  ImportedPoint point;
  for (const auto& [name, field] : TextFields()) point.*field = reader.Text(name, row);
  for (const auto& [name, field] : CountFields()) point.*field = reader.Count(name, row);
  for (const auto& [name, field] : NumberFields()) point.*field = reader.Number(name, row);
  return point;
}

// The dimensions of a model named as ours are known.
void FillFromModel(ImportedPoint& point, const Catalog& catalog) {
  const std::optional<std::string> name = catalog.FullModelName(point.model);
  if (!name) return;
  const ModelSpec& model = catalog.models.at(*name).spec;
  if (!point.params) point.params = CountParameters(model).total();
  if (!point.gmacs_per_sample && !point.compute_gmacs)
    point.gmacs_per_sample = CountForwardGmacs(model).total();
}

void FillCompute(ImportedPoint& point) {
  if (!point.compute_gmacs && point.gmacs_per_sample && point.samples_seen) {
    point.compute_gmacs = *point.gmacs_per_sample * static_cast<double>(*point.samples_seen);
  }
  if (!point.train_flops && point.compute_gmacs)
    point.train_flops = *point.compute_gmacs * kTrainFlopsPerGmac;
}

void Complete(std::vector<ImportedPoint>& points) {
  const Catalog catalog = LoadCatalog(DataPath(""));
  for (ImportedPoint& point : points) {
    FillFromModel(point, catalog);
    FillCompute(point);
    if (point.point_kind.empty()) point.point_kind = "final";
    if (point.curve.empty()) point.curve = point.dataset.empty() ? "imported" : point.dataset;
  }
}

std::string CurveOfUpstream(const std::string& upstream) {
  if (upstream == "CLIP-WIT") return "openai";
  return upstream.starts_with("LAION") ? "laion" : upstream;
}

bool HasAll(const Table& table, std::initializer_list<const char*> columns) {
  return std::all_of(
      columns.begin(), columns.end(), [&](const char* column) { return table.Has(column); });
}

}  // namespace

std::vector<ImportedPoint> ImportTable(const Table& table, const ImportMapping& mapping) {
  const RowReader reader(table, mapping);
  std::vector<ImportedPoint> points;
  for (size_t row = 0; row < table.rows.size(); ++row) {
    ImportedPoint point = ReadCoordinates(reader, row);
    if (mapping.metrics.empty()) {
      const std::optional<double> value = reader.Number("value", row);
      if (!value)
        FailRow(
            table,
            row,
            "it has no value: map one (--map value=…) or name the metric columns (--metrics …)");
      point.value = *value;
      points.push_back(std::move(point));
      continue;
    }
    for (const std::string& metric : mapping.metrics) {
      const std::string& cell = table.rows[row][table.Find(metric)];
      if (IsEmptyCell(cell)) continue;
      const std::optional<double> value = ParseNumber(cell);
      if (!value) FailRow(table, row, fmt::format("{} is '{}', expected a number", metric, cell));
      points.push_back(point);
      points.back().metric = metric;
      points.back().value = *value;
    }
  }
  Complete(points);
  return points;
}

PublicTable RecogniseTable(const Table& table) {
  if (HasAll(table, {"arch", "gmacs_total", "upstream_dataset", "downstream_dataset"})) {
    return PublicTable::kZeroshotResults;
  }
  if (HasAll(table, {"name", "arch", "lr", "warmup", "gpus", "local_bs", "samples_per_sec"})) {
    return PublicTable::kTrainedModelsInfo;
  }
  return PublicTable::kNone;
}

std::vector<ImportedPoint> ImportZeroshotResults(const Table& table) {
  ImportMapping mapping;
  mapping.map = {{"run", "name"},
                 {"model", "arch"},
                 {"dataset", "upstream_dataset"},
                 {"eval_dataset", "downstream_dataset"},
                 {"gmacs_per_sample", "gmacs"},
                 {"compute_gmacs", "gmacs_total"}};
  for (const char* metric : {"acc1",
                             "acc5",
                             "mean_per_class_recall",
                             "image_retrieval_recall@5",
                             "text_retrieval_recall@5",
                             "mean_average_precision"}) {
    if (table.Has(metric)) mapping.metrics.emplace_back(metric);
  }
  if (!table.Has("name")) mapping.map["run"] = "arch";
  std::vector<ImportedPoint> points = ImportTable(table, mapping);
  for (ImportedPoint& point : points) point.curve = CurveOfUpstream(point.dataset);
  return points;
}

std::vector<ImportedPoint> ImportTrainedModelsInfo(const Table& table) {
  ImportMapping mapping;
  mapping.map = {{"run", "name"},
                 {"model", "arch"},
                 {"dataset", "data"},
                 {"learning_rate", "lr"},
                 {"global_batch_size", "gpus * local_bs"},
                 {"samples_seen", "epochs * samples_per_epoch"},
                 {"value", "samples_per_sec"}};
  mapping.set = {{"task", "training"},
                 {"eval_dataset", "training"},
                 {"metric", "samples_per_second"},
                 {"curve", "training"}};
  return ImportTable(table, mapping);
}

void FillTrainingSettings(std::vector<ImportedPoint>& points,
                          const std::vector<ImportedPoint>& trainings) {
  std::map<std::string, const ImportedPoint*> by_run;
  for (const ImportedPoint& training : trainings) by_run[training.run] = &training;
  for (ImportedPoint& point : points) {
    const auto training = by_run.find(point.run);
    if (training == by_run.end()) continue;
    if (!point.global_batch_size) point.global_batch_size = training->second->global_batch_size;
    if (!point.learning_rate) point.learning_rate = training->second->learning_rate;
  }
}

}  // namespace sweep
