#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/field.h"
#include "orchestrator/sweep_file/located_json.h"
#include "orchestrator/sweep_file/problem.h"

namespace sweep {

/// Reads values of one document by the field tables. Every value that does not fit becomes a
/// problem that says where it stands, what it is, and what was expected.
///
/// Values come back in one form however they were written: counts as int64, numbers and durations
/// (in seconds) as double, models by their full name.
class FieldReader {
 public:
  /// The three must outlive the reader. Names of models, data sets and counts are those of
  /// `catalog`.
  FieldReader(const LocatedJson& source, const Catalog& catalog, ProblemList& problems)
      : source_(source), catalog_(catalog), problems_(problems) {}

  /// The value at `pointer` as a value of `field`; nothing, and a problem, when it is not one.
  [[nodiscard]] std::optional<Json> ReadValue(const Field& field,
                                              const Json& value,
                                              const std::string& pointer) const;

  /// The members of the object at `pointer`: unknown and missing ones are problems. Members that
  /// are absent or wrong are absent from the result.
  [[nodiscard]] Json ReadObject(const FieldTable& table,
                                const Json& object,
                                const std::string& pointer,
                                bool requires_required = true) const;

  /// Reports `value` as not being what was `expected`; `hint` is added as it is.
  void Reject(const Json& value,
              const std::string& pointer,
              const std::string& expected,
              const std::string& hint = {}) const;
  /// Reports that `name` is not one of `known`: "… expected WHAT; did you mean …?"
  void RejectName(const std::string& name,
                  const std::string& pointer,
                  const std::string& what,
                  const std::vector<std::string>& known) const;
  void Error(const std::string& pointer, const std::string& message) const;
  void Warn(const std::string& pointer, const std::string& message) const;

  /// True when the value at `pointer` is an object (an array); otherwise a problem.
  [[nodiscard]] bool IsObject(const Json& value,
                              const std::string& pointer,
                              const std::string& expected) const;
  [[nodiscard]] bool IsArray(const Json& value,
                             const std::string& pointer,
                             const std::string& expected) const;

  /// The member `name` of a document where it is there and an object (an array); null where it is
  /// not there and, with a problem, where it is something else.
  [[nodiscard]] const Json* ObjectMember(const Json& document,
                                         const char* name,
                                         const std::string& expected) const;
  [[nodiscard]] const Json* ArrayMember(const Json& document,
                                        const char* name,
                                        const std::string& expected) const;

  [[nodiscard]] const Catalog& catalog() const { return catalog_; }

 private:
  [[nodiscard]] std::optional<Json> ReadNumeric(const Field& field,
                                                const Json& value,
                                                const std::string& pointer) const;
  [[nodiscard]] std::optional<Json> ReadText(const Field& field,
                                             const Json& value,
                                             const std::string& pointer) const;
  [[nodiscard]] std::optional<Json> ReadTexts(const Field& field,
                                              const Json& value,
                                              const std::string& pointer) const;
  [[nodiscard]] std::optional<Json> ReadStart(const Field& field,
                                              const Json& value,
                                              const std::string& pointer) const;
  [[nodiscard]] Json ReadParentFields(const Json& from, const std::string& pointer) const;

  const LocatedJson& source_;
  const Catalog& catalog_;
  ProblemList& problems_;
};

/// Sets `target` from the member `key` of what ReadObject gave, where it is there.
template <class Target>
void SetIfGiven(const Json& object, const char* key, Target& target) {
  if (const auto found = object.find(key); found != object.end()) target = found->get<Target>();
}
template <class Target>
void SetIfGiven(const Json& object, const char* key, std::optional<Target>& target) {
  if (const auto found = object.find(key); found != object.end()) target = found->get<Target>();
}

/// `value` as a message shows it: short, texts in single quotes.
[[nodiscard]] std::string ShownValue(const Json& value);

}  // namespace sweep
