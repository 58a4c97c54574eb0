#include "orchestrator/sweep_file/schema.h"

#include <cmath>

#include "orchestrator/sweep_file/field.h"

namespace sweep {
namespace {

constexpr const char* kQuantity =
    R"(^ *([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[kMBT]?|[^ *×]+:[^ *×]+) *)"
    R"(([*×] *([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[kMBT]?|[^ *×]+:[^ *×]+) *)*$)";
constexpr const char* kDuration = R"(^ *[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)? *(s|min|h|d)? *$)";

void AddRange(const Field& field, Json& number) {
  if (std::isfinite(field.least)) {
    number[field.least_is_outside ? "exclusiveMinimum" : "minimum"] = field.least;
  }
  if (std::isfinite(field.most)) {
    number[field.most_is_outside ? "exclusiveMaximum" : "maximum"] = field.most;
  }
}

Json NumberOr(const Field& field, const char* number_type, const char* text_definition) {
  Json number = {{"type", number_type}};
  AddRange(field, number);
  return {{"anyOf", Json::array({number, {{"$ref", text_definition}}})}};
}

Json ValueSchema(const Field& field) {
  switch (field.type) {
    case FieldType::kCount:
      return NumberOr(field, "integer", "#/$defs/quantity");
    case FieldType::kNumber:
      return NumberOr(field, "number", "#/$defs/quantity");
    case FieldType::kDuration:
      return NumberOr(field, "number", "#/$defs/duration");
    case FieldType::kText:
    case FieldType::kModel:
    case FieldType::kDataset:
      return {{"type", "string"}, {"minLength", 1}};
    case FieldType::kFlag:
      return {{"type", "boolean"}};
    case FieldType::kChoice:
      return {{"enum", field.choices}};
    case FieldType::kTexts:
      return {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}};
    case FieldType::kObject:
      return {{"type", "object"}};
    case FieldType::kStart:
      return {{"$ref", "#/$defs/start"}};
  }
  return true;
}

Json Described(const Field& field, Json schema) {
  if (!field.doc.empty()) schema["description"] = field.doc;
  if (!field.fallback.empty()) schema["default"] = Json::parse(field.fallback);
  return schema;
}

Json ClosedObject(Json properties) {
  return {
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
}

// An object with the table's fields and no others.
Json TableSchema(const FieldTable& table, bool requires_required) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : table) {
    properties[field.name] = Described(field, ValueSchema(field));
    if (field.required) required.push_back(field.name);
  }
  Json schema = ClosedObject(std::move(properties));
  if (requires_required && !required.empty()) schema["required"] = required;
  return schema;
}

// As TableSchema, but with `extends` nothing else is required.
Json DefinitionSchema(const FieldTable& table) {
  Json schema = TableSchema(table, true);
  const Json required = std::move(schema["required"]);
  schema.erase("required");
  schema["anyOf"] = Json::array({{{"required", {"extends"}}}, {{"required", required}}});
  return schema;
}

Json RunValues() {
  Json schema = TableSchema(RunFields(), false);
  for (auto& [name, field] : schema["properties"].items()) field.erase("default");
  return schema;
}

Json GridSchema() {
  Json properties = Json::object();
  for (const Field& field : RunFields()) {
    properties[field.name] = Described(
        field,
        {{"type", "array"}, {"items", ValueSchema(field)}, {"minItems", 1}, {"uniqueItems", true}});
    properties[field.name].erase("default");
  }
  return ClosedObject(std::move(properties));
}

Json DeriveSchema() {
  Json properties = Json::object();
  for (const Field& field : RunFields()) {
    if (field.numeric()) properties[field.name] = {{"type", "string"}, {"minLength", 1}};
  }
  return ClosedObject(std::move(properties));
}

Json ExcludeSchema() {
  Json properties = Json::object();
  for (const Field& field : RunFields()) {
    if (field.type == FieldType::kStart) continue;
    const Json value = ValueSchema(field);
    properties[field.name] = {
        {"anyOf", Json::array({value, {{"type", "array"}, {"items", value}}})}};
  }
  Json schema = ClosedObject(std::move(properties));
  schema["minProperties"] = 1;
  return schema;
}

Json StartSchema() {
  const Field at = {.name = "at", .type = FieldType::kCount, .least = 1};
  Json from = ClosedObject({{"from", {{"$ref", "#/$defs/run_values"}}}, {"at", ValueSchema(at)}});
  from["required"] = {"from"};
  const Json path = {{"type", "string"}, {"minLength", 1}};
  Json file = ClosedObject({{"file", path}});
  file["required"] = {"file"};
  Json towers = ClosedObject({{"vision_file", path}, {"text_file", path}});
  towers["minProperties"] = 1;
  return {{"anyOf", Json::array({{{"const", "scratch"}}, from, file, towers})}};
}

Json ArrayOf(Json items) {
  return {{"type", "array"}, {"items", std::move(items)}};
}

Json ByName(Json definition) {
  return {{"type", "object"}, {"additionalProperties", std::move(definition)}};
}

// Members that have a structure of their own.
Json SectionSchema(std::string_view name) {
  if (name == "grid") return GridSchema();
  if (name == "fixed") return {{"$ref", "#/$defs/run_values"}};
  if (name == "derive") return DeriveSchema();
  if (name == "include") return ArrayOf({{"$ref", "#/$defs/run_values"}});
  if (name == "exclude") return ArrayOf(ExcludeSchema());
  if (name == "models") return ByName({{"type", "object"}});
  if (name == "datasets") return ByName(DefinitionSchema(DatasetFields()));
  if (name == "evaluations") {
    Json definition = DefinitionSchema(EvaluationFields());
    definition["required"] = {"name"};
    return ArrayOf({{"anyOf", Json::array({{{"type", "string"}, {"minLength", 1}}, definition})}});
  }
  if (name == "generate") {
    Json schema = TableSchema(GenerateFields(), true);
    for (const char* range : {"samples_seen", "compute_gmacs"}) {
      schema["properties"][range].update(TableSchema(LogRangeFields(), true));
    }
    return schema;
  }
  if (name == "curves") return ByName({{"type", "string"}, {"minLength", 1}});
  if (name == "fits") return ArrayOf(TableSchema(FitFields(), true));
  if (name == "executor") return TableSchema(ExecutorFields(), true);
  return TableSchema(TrainerFields(), true);
}

}  // namespace

Json SweepFileSchema() {
  Json schema = TableSchema(DocumentFields(), true);
  for (const Field& field : DocumentFields()) {
    if (field.type != FieldType::kObject) continue;
    schema["properties"][field.name] = Described(field, SectionSchema(field.name));
  }
  schema["properties"]["version"] = Described({.doc = "Version of this format."}, {{"const", 1}});
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "sweep file, version 1";
  schema["$defs"] = {{"run_values", RunValues()},
                     {"start", StartSchema()},
                     {"quantity", {{"type", "string"}, {"pattern", kQuantity}}},
                     {"duration", {{"type", "string"}, {"pattern", kDuration}}}};
  return schema;
}

}  // namespace sweep
