#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace sweep {

/// What a field of the sweep file may hold. Counts, numbers and durations may be written as a JSON
/// number or as a quantity for people ("12.8B", "2h").
enum class FieldType {
  kCount,     ///< whole number
  kNumber,    ///< real number
  kDuration,  ///< seconds
  kText,
  kFlag,
  kChoice,   ///< one of Field::choices
  kModel,    ///< name of a model
  kDataset,  ///< name of a data set
  kTexts,    ///< array of texts
  kObject,   ///< an object that somebody else checks
  kStart,    ///< where a run's weights come from
};

/// One row of a field table. The tables below are the only list of the sweep file's fields: from
/// them come validation, the JSON Schema, the names that expressions know, and the tables of
/// docs/sweep_file.md.
struct Field {
  std::string_view name = {};
  FieldType type = FieldType::kText;
  bool required = false;
  std::string_view fallback = {};  ///< default as JSON text; empty: none, or as `doc` says
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool least_is_outside = false;  ///< the value is greater than `least`, not equal
  bool most_is_outside = false;
  std::string_view unit = {};
  std::vector<std::string> choices = {};
  std::string_view doc = {};  ///< one sentence

  [[nodiscard]] bool numeric() const {
    return type == FieldType::kCount || type == FieldType::kNumber || type == FieldType::kDuration;
  }
};

using FieldTable = std::vector<Field>;

/// The fields of one run: what `grid`, `fixed`, `derive`, `include` and `exclude` speak about.
[[nodiscard]] const FieldTable& RunFields();
/// Members of the document itself, of `executor`, `trainer`, and of each entry of `fits`.
[[nodiscard]] const FieldTable& DocumentFields();
[[nodiscard]] const FieldTable& ExecutorFields();
[[nodiscard]] const FieldTable& TrainerFields();
[[nodiscard]] const FieldTable& FitFields();
/// Members of `generate`, and of a range in it.
[[nodiscard]] const FieldTable& GenerateFields();
[[nodiscard]] const FieldTable& LogRangeFields();
/// Members of a data set's, a tokenizer's and an evaluation's definition.
[[nodiscard]] const FieldTable& DatasetFields();
[[nodiscard]] const FieldTable& TokenizerFields();
[[nodiscard]] const FieldTable& EvaluationFields();

/// Index of the field called `name`, or table.size().
[[nodiscard]] size_t IndexOfField(const FieldTable& table, std::string_view name);

/// Names of all fields of a table, in its order.
[[nodiscard]] std::vector<std::string> FieldNames(const FieldTable& table);

/// Whether `value` lies in the field's range.
[[nodiscard]] bool InRange(const Field& field, double value);

/// For messages: "a whole number of at least 1, as 131072 or \"128k\"", "cosine or constant", ….
[[nodiscard]] std::string ExpectedValue(const Field& field);

/// A Markdown table of the fields with type, unit, default and meaning, as docs/sweep_file.md has
/// it.
[[nodiscard]] std::string FieldsAsMarkdown(const FieldTable& table);

}  // namespace sweep
