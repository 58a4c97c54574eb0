#include "orchestrator/sweep_file/field.h"

#include <fmt/format.h>

#include <cmath>

#include "orchestrator/sweep_file/problem.h"

namespace sweep {
namespace {

std::string RangeText(const Field& field) {
  std::string text;
  if (std::isfinite(field.least)) {
    text +=
        fmt::format(" {} {}", field.least_is_outside ? "greater than" : "of at least", field.least);
  }
  if (std::isfinite(field.most)) {
    if (!text.empty()) text += " and";
    text += fmt::format(" {} {}", field.most_is_outside ? "less than" : "at most", field.most);
  }
  return text;
}

std::string_view TypeText(const Field& field) {
  switch (field.type) {
    case FieldType::kCount:
      return "count";
    case FieldType::kNumber:
      return "number";
    case FieldType::kDuration:
      return "duration";
    case FieldType::kText:
      return "text";
    case FieldType::kFlag:
      return "true or false";
    case FieldType::kChoice:
      return "choice";
    case FieldType::kModel:
      return "model";
    case FieldType::kDataset:
      return "data set";
    case FieldType::kTexts:
      return "array of texts";
    case FieldType::kObject:
      return "section";
    case FieldType::kStart:
      return "start";
  }
  return {};
}

}  // namespace

size_t IndexOfField(const FieldTable& table, std::string_view name) {
  size_t index = 0;
  while (index < table.size() && table[index].name != name) ++index;
  return index;
}

std::vector<std::string> FieldNames(const FieldTable& table) {
  std::vector<std::string> names;
  names.reserve(table.size());
  for (const Field& field : table) names.emplace_back(field.name);
  return names;
}

bool InRange(const Field& field, double value) {
  const bool above = field.least_is_outside ? value > field.least : value >= field.least;
  const bool below = field.most_is_outside ? value < field.most : value <= field.most;
  return above && below;
}

std::string ExpectedValue(const Field& field) {
  switch (field.type) {
    case FieldType::kCount:
      return fmt::format("a whole number{}, as 131072 or \"128k\"", RangeText(field));
    case FieldType::kNumber:
      return fmt::format("a number{}", RangeText(field));
    case FieldType::kDuration:
      return fmt::format("seconds or a duration{}, as 90, \"30min\" or \"2h\"", RangeText(field));
    case FieldType::kText:
      return "a non-empty text";
    case FieldType::kFlag:
      return "true or false";
    case FieldType::kChoice:
      return ListOfNames(field.choices);
    case FieldType::kModel:
      return "the name of a model";
    case FieldType::kDataset:
      return "the name of a data set";
    case FieldType::kTexts:
      return "an array of non-empty texts";
    case FieldType::kObject:
      return "an object";
    case FieldType::kStart:
      return R"("scratch", {"from": {FIELD: VALUE, …}, "at": SAMPLES} or {"file": PATH})";
  }
  return {};
}

std::string FieldsAsMarkdown(const FieldTable& table) {
  std::string text = "| field | type | unit | default | meaning |\n|---|---|---|---|---|\n";
  for (const Field& field : table) {
    std::string type(TypeText(field));
    if (!field.choices.empty()) type = fmt::format("`{}`", fmt::join(field.choices, "`, `"));
    if (std::isfinite(field.least))
      type += fmt::format(" {} {}", field.least_is_outside ? ">" : "≥", field.least);
    if (std::isfinite(field.most))
      type += fmt::format("{} {}", field.most_is_outside ? ", <" : ", ≤", field.most);
    const std::string fallback = field.required           ? "**required**"
                                 : field.fallback.empty() ? ""
                                                          : fmt::format("`{}`", field.fallback);
    text += fmt::format(
        "| `{}` | {} | {} | {} | {} |\n", field.name, type, field.unit, fallback, field.doc);
  }
  return text;
}

}  // namespace sweep
