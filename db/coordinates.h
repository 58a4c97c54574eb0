#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json_fields.h"

namespace sweep {

/// Named values of a run, as an object of JSON, but with the names kept once for all runs of a
/// sweep: of a hundred thousand runs they would be most of the memory.
class Coordinates {
 public:
  using Names = std::shared_ptr<const std::vector<std::string>>;

  Coordinates() = default;
  /// One value for each name.
  Coordinates(Names names, std::vector<Json> values)
      : names_(std::move(names)), values_(std::move(values)) {}

  /// The value of a name that is there.
  [[nodiscard]] const Json& at(const std::string& name) const {
    for (size_t i = 0; i < values_.size(); ++i) {
      if ((*names_)[i] == name) return values_[i];
    }
    throw Failure(FailureCode::kInternal, "a run has no coordinate '" + name + "'");
  }
  [[nodiscard]] const Json& operator[](const std::string& name) const { return at(name); }

  [[nodiscard]] Json ToJson() const {
    Json object = Json::object();
    for (size_t i = 0; i < values_.size(); ++i) object[(*names_)[i]] = values_[i];
    return object;
  }

 private:
  Names names_;
  std::vector<Json> values_;
};

[[nodiscard]] inline Json FieldsToJson(const Coordinates& coordinates) {
  return coordinates.ToJson();
}

/// Runs that are read one after the other mostly have the same names.
template <>
[[nodiscard]] inline Coordinates FieldsFromJson<Coordinates>(const Json& json,
                                                             const std::string& /*origin*/) {
  thread_local Coordinates::Names last;
  std::vector<std::string> names;
  std::vector<Json> values;
  for (const auto& [name, value] : json.items()) {
    names.push_back(name);
    values.push_back(value);
  }
  if (!last || *last != names) last = std::make_shared<const std::vector<std::string>>(names);
  return {last, std::move(values)};
}

}  // namespace sweep
