#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/failure.h"
#include "core/json.h"

namespace sweep {

/// Reads and writes plain structs as JSON objects from one list of their fields. A struct declares
/// the list once:
///
///     template <class Visitor> void VisitFields(Visitor& visit, OptimizerSpec& s) {
///       visit("learning_rate", s.learning_rate);            // required
///       visit("beta1", s.beta1, 0.9);                       // left out of the JSON when equal to
///       0.9
///     }
///
/// The given defaults are frozen: identities are hashes of this JSON, so changing a default here
/// would change what existing ids mean. A new field with a default changes no old id.
template <class Struct>
[[nodiscard]] Json FieldsToJson(const Struct& value);

/// Throws Malformed naming `origin` and the field for a member that is missing, unknown, of another
/// type, or a number that its field cannot hold.
template <class Struct>
[[nodiscard]] Struct FieldsFromJson(const Json& json, const std::string& origin);

namespace internal {

template <class T>
inline constexpr bool kIsPlain =
    std::is_arithmetic_v<T> || std::is_same_v<T, std::string> || std::is_same_v<T, Json>;

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

class JsonFieldWriter {
 public:
  template <class T>
  void operator()(const char* name, T& field) {
    json[name] = ToValue(field);
  }
  template <class T, class Default>
  void operator()(const char* name, T& field, const Default& frozen_default) {
    if (field != T(frozen_default)) json[name] = ToValue(field);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& field) {
    if (field) json[name] = ToValue(*field);
  }
  Json json = Json::object();

 private:
  template <class T>
  static Json ToValue(T& field) {
    if constexpr (kIsPlain<T>) {
      return Json(field);
    } else if constexpr (IsVector<T>::value) {
      Json array = Json::array();
      for (auto& element : field) array.push_back(ToValue(element));
      return array;
    } else if constexpr (IsMap<T>::value) {
      Json object = Json::object();
      for (auto& [key, element] : field) object[key] = ToValue(element);
      return object;
    } else {
      return FieldsToJson(field);
    }
  }
};

class JsonFieldReader {
 public:
  JsonFieldReader(const Json& json, std::string origin) : json_(json), origin_(std::move(origin)) {
    if (!json.is_object()) Fail("expected an object, found " + std::string(json.type_name()));
  }

  template <class T>
  void operator()(const char* name, T& field) {
    known_.insert(name);
    const auto member = json_.find(name);
    if (member == json_.end()) Fail(fmt::format("field '{}' is missing", name));
    Read(name, *member, field);
  }
  template <class T, class Default>
  void operator()(const char* name, T& field, const Default& frozen_default) {
    known_.insert(name);
    const auto member = json_.find(name);
    if (member == json_.end()) {
      field = T(frozen_default);
    } else {
      Read(name, *member, field);
    }
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& field) {
    known_.insert(name);
    // null too: what many languages write for a value that is not there.
    if (const auto member = json_.find(name); member != json_.end() && !member->is_null())
      Read(name, *member, field.emplace());
  }

  void CheckNothingUnknown() const {
    for (const auto& [key, value] : json_.items()) {
      if (!known_.contains(key)) Fail(fmt::format("field '{}' is not known", key));
    }
  }

 private:
  template <class T>
  void Read(const std::string& name, const Json& value, T& field) {
    if constexpr (std::is_same_v<T, Json>) {
      field = value;
    } else if constexpr (std::is_same_v<T, bool>) {
      Require(value.is_boolean(), name, value, "true or false");
      field = value.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
      Require(value.is_number_integer(), name, value, "an integer");
      Require(Holds<T>(value), name, value, "an integer that fits its field");
      field = value.get<T>();
    } else if constexpr (std::is_floating_point_v<T>) {
      Require(value.is_number(), name, value, "a number");
      field = value.get<T>();
    } else if constexpr (std::is_same_v<T, std::string>) {
      Require(value.is_string(), name, value, "a string");
      field = value.get<std::string>();
    } else if constexpr (IsVector<T>::value) {
      Require(value.is_array(), name, value, "an array");
      field.clear();
      for (size_t i = 0; i < value.size(); ++i)
        Read(fmt::format("{}/{}", name, i), value[i], field.emplace_back());
    } else if constexpr (IsMap<T>::value) {
      Require(value.is_object(), name, value, "an object");
      field.clear();
      for (const auto& [key, element] : value.items())
        Read(fmt::format("{}/{}", name, key), element, field[key]);
    } else {
      field = FieldsFromJson<T>(value, fmt::format("{}, field '{}'", origin_, name));
    }
  }

  template <class T>
  static bool Holds(const Json& integer) {
    return integer.is_number_unsigned() ? std::in_range<T>(integer.get<uint64_t>())
                                        : std::in_range<T>(integer.get<int64_t>());
  }

  // Of a value the beginning: it may be long.
  static std::string Shown(const Json& value) {
    constexpr size_t kMostShown = 80;
    std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
    if (text.size() > kMostShown) text = text.substr(0, kMostShown) + "…";
    return text;
  }

  void Require(bool holds, const std::string& name, const Json& value, const char* expected) const {
    if (!holds) Fail(fmt::format("field '{}' is {}, expected {}", name, Shown(value), expected));
  }

  [[noreturn]] void Fail(const std::string& what) const {
    throw Malformed(fmt::format("{}: {}", origin_, what));
  }

  const Json& json_;
  std::string origin_;
  std::set<std::string> known_;
};

}  // namespace internal

template <class Struct>
Json FieldsToJson(const Struct& value) {
  internal::JsonFieldWriter writer;
  VisitFields(writer, const_cast<Struct&>(value));  // the writer only reads
  return std::move(writer.json);
}

template <class Struct>
Struct FieldsFromJson(const Json& json, const std::string& origin) {
  Struct value;
  internal::JsonFieldReader reader(json, origin);
  VisitFields(reader, value);
  reader.CheckNothingUnknown();
  return value;
}

}  // namespace sweep
