#include "orchestrator/sweep_file/field_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "orchestrator/sweep_file/quantity.h"

namespace sweep {
namespace {

std::optional<Quantity> ToQuantity(const Field& field,
                                   const Json& value,
                                   const NamedCounts& counts) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (field.type != FieldType::kDuration) return ParseQuantity(text, counts);
    const auto seconds = ParseDurationSeconds(text);
    return seconds ? std::optional(Quantity{*seconds, std::nullopt}) : std::nullopt;
  }
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  if (value.is_number_integer()) {
    const bool fits =
        !value.is_number_unsigned() ||
        value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    return Quantity{number, fits ? std::optional(value.get<int64_t>()) : std::nullopt};
  }
  constexpr double kExactlyRepresentable = 9007199254740992.0;  // 2^53
  if (std::abs(number) <= kExactlyRepresentable && number == std::trunc(number)) {
    return Quantity{number, static_cast<int64_t>(number)};
  }
  return Quantity{number, std::nullopt};
}

std::vector<std::string> CountNames(const NamedCounts& counts) {
  std::vector<std::string> names;
  for (const auto& [name, count] : counts) names.push_back(name);
  return names;
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string ShownValue(const Json& value) {
  constexpr size_t kMostBytes = 80;
  std::string text = value.is_string() ? fmt::format("'{}'", value.get_ref<const std::string&>())
                                       : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kMostBytes) return text;
  size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

void FieldReader::Error(const std::string& pointer, const std::string& message) const {
  problems_.Add(source_.Error(pointer, message));
}

void FieldReader::Warn(const std::string& pointer, const std::string& message) const {
  problems_.Add(source_.Warning(pointer, message));
}

void FieldReader::Reject(const Json& value,
                         const std::string& pointer,
                         const std::string& expected,
                         const std::string& hint) const {
  Error(pointer, fmt::format("value {}, expected {}{}", ShownValue(value), expected, hint));
}

void FieldReader::RejectName(const std::string& name,
                             const std::string& pointer,
                             const std::string& what,
                             const std::vector<std::string>& known) const {
  Reject(name, pointer, what, DidYouMean(name, known));
}

const Json* FieldReader::ObjectMember(const Json& document,
                                      const char* name,
                                      const std::string& expected) const {
  const auto member = document.find(name);
  const bool fits = member != document.end() && IsObject(*member, PointerTo("", name), expected);
  return fits ? &*member : nullptr;
}

const Json* FieldReader::ArrayMember(const Json& document,
                                     const char* name,
                                     const std::string& expected) const {
  const auto member = document.find(name);
  const bool fits = member != document.end() && IsArray(*member, PointerTo("", name), expected);
  return fits ? &*member : nullptr;
}

bool FieldReader::IsObject(const Json& value,
                           const std::string& pointer,
                           const std::string& expected) const {
  if (!value.is_object()) Reject(value, pointer, expected);
  return value.is_object();
}

bool FieldReader::IsArray(const Json& value,
                          const std::string& pointer,
                          const std::string& expected) const {
  if (!value.is_array()) Reject(value, pointer, expected);
  return value.is_array();
}

std::optional<Json> FieldReader::ReadValue(const Field& field,
                                           const Json& value,
                                           const std::string& pointer) const {
  if (field.numeric()) return ReadNumeric(field, value, pointer);
  if (field.type == FieldType::kTexts) return ReadTexts(field, value, pointer);
  if (field.type == FieldType::kStart) return ReadStart(field, value, pointer);
  if (field.type == FieldType::kFlag || field.type == FieldType::kObject) {
    if (field.type == FieldType::kFlag ? value.is_boolean() : value.is_object()) return value;
    Reject(value, pointer, ExpectedValue(field));
    return std::nullopt;
  }
  return ReadText(field, value, pointer);
}

std::optional<Json> FieldReader::ReadNumeric(const Field& field,
                                             const Json& value,
                                             const std::string& pointer) const {
  const auto quantity = ToQuantity(field, value, catalog_.counts);
  const bool is_count = field.type == FieldType::kCount;
  if (!quantity || (is_count && !quantity->integer) || !InRange(field, quantity->value)) {
    const bool is_name =
        value.is_string() && value.get_ref<const std::string&>().find(':') != std::string::npos;
    Reject(value,
           pointer,
           ExpectedValue(field),
           is_name ? DidYouMean(value.get_ref<const std::string&>(), CountNames(catalog_.counts))
                   : std::string());
    return std::nullopt;
  }
  return is_count ? Json(*quantity->integer) : Json(quantity->value);
}

std::optional<Json> FieldReader::ReadText(const Field& field,
                                          const Json& value,
                                          const std::string& pointer) const {
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    Reject(value, pointer, ExpectedValue(field));
    return std::nullopt;
  }
  const auto& text = value.get_ref<const std::string&>();
  if (field.type == FieldType::kChoice && !Contains(field.choices, text)) {
    RejectName(text, pointer, ExpectedValue(field), field.choices);
    return std::nullopt;
  }
  if (field.type == FieldType::kModel) {
    const auto name = catalog_.FullModelName(text);
    if (!name) RejectName(text, pointer, "the name of a model", catalog_.ModelNames());
    return name ? std::optional<Json>(*name) : std::nullopt;
  }
  if (field.type == FieldType::kDataset && !catalog_.datasets.contains(text)) {
    RejectName(text, pointer, "the name of a data set", catalog_.DatasetNames());
    return std::nullopt;
  }
  return value;
}

std::optional<Json> FieldReader::ReadTexts(const Field& field,
                                           const Json& value,
                                           const std::string& pointer) const {
  if (!IsArray(value, pointer, ExpectedValue(field))) return std::nullopt;
  bool all_texts = true;
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i].is_string() && !value[i].get_ref<const std::string&>().empty()) continue;
    Reject(value[i], PointerTo(pointer, i), "a non-empty text");
    all_texts = false;
  }
  return all_texts ? std::optional(value) : std::nullopt;
}

std::optional<Json> FieldReader::ReadStart(const Field& field,
                                           const Json& value,
                                           const std::string& pointer) const {
  if (value == "scratch") return value;
  static const Field kAt = {.name = "at", .type = FieldType::kCount, .least = 1};
  static const std::vector<std::string> kFiles = {"file", "vision_file", "text_file"};
  const auto has = [&](const std::string& key) { return value.contains(key); };
  const bool from = value.is_object() && has("from");
  const bool file = value.is_object() && has("file");
  const bool towers = value.is_object() && (has("vision_file") || has("text_file"));
  if (int{from} + int{file} + int{towers} != 1) {
    Reject(value, pointer, ExpectedValue(field));
    return std::nullopt;
  }
  Json start = Json::object();
  for (const auto& [key, member] : value.items()) {
    const std::string at = PointerTo(pointer, key);
    if (key == "from" && IsObject(member, at, "an object of run fields")) {
      start["from"] = ReadParentFields(member, at);
    } else if (key == "at" && from) {
      if (const auto samples = ReadValue(kAt, member, at)) start["at"] = *samples;
    } else if (std::find(kFiles.begin(), kFiles.end(), key) != kFiles.end()) {
      if (!member.is_string() || member == "") Reject(member, at, "the path of a safetensors file");
      start[key] = member;
    } else if (key != "from") {
      RejectName(key,
                 at,
                 from     ? "from or at"
                 : towers ? "vision_file or text_file"
                          : "file alone",
                 {"from", "at", "file", "vision_file", "text_file"});
    }
  }
  return start;
}

Json FieldReader::ReadParentFields(const Json& from, const std::string& pointer) const {
  return ReadObject(RunFields(), from, pointer, /*requires_required=*/false);
}

Json FieldReader::ReadObject(const FieldTable& table,
                             const Json& object,
                             const std::string& pointer,
                             bool requires_required) const {
  Json read = Json::object();
  for (const auto& [key, member] : object.items()) {
    const std::string at = PointerTo(pointer, key);
    const size_t index = IndexOfField(table, key);
    if (index == table.size()) {
      const auto known = FieldNames(table);
      const std::string hint = DidYouMean(key, known);
      Error(at,
            fmt::format("field '{}' is not known{}",
                        key,
                        hint.empty() ? fmt::format(", expected {}", ListOfNames(known)) : hint));
      continue;
    }
    if (auto value = ReadValue(table[index], member, at)) read[key] = std::move(*value);
  }
  for (const Field& field : table) {
    if (!requires_required || !field.required || object.contains(field.name)) continue;
    Error(pointer,
          fmt::format("field '{}' is missing, expected {}", field.name, ExpectedValue(field)));
  }
  return read;
}

}  // namespace sweep
