#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/run_spec.h"

namespace sweep {

/// How a run came to a value. Derived and default values follow from others, so they do not tell
/// runs apart when one run looks for another.
enum class ValueOrigin : uint8_t { kAbsent, kGiven, kDerived, kDefault };

/// A run on the way from fields to a spec.
struct RunDraft {
  std::vector<Json> values;          ///< one for each of RunFields()
  std::vector<ValueOrigin> origins;  ///< likewise
  std::string pointer;               ///< the part of the file that asks for it
  RunSpec spec;                      ///< all but `start`, which other runs decide

  void Set(size_t field, Json value, ValueOrigin origin);
  void Set(std::string_view field, Json value, ValueOrigin origin);
  [[nodiscard]] const Json& Value(std::string_view field) const;
  [[nodiscard]] int64_t Count(std::string_view field) const { return Value(field).get<int64_t>(); }
  [[nodiscard]] double Number(std::string_view field) const { return Value(field).get<double>(); }
  [[nodiscard]] std::string Text(std::string_view field) const {
    return Value(field).get<std::string>();
  }
  /// "model scenes-s, dataset fashion_scenes, …": the given values, for messages.
  [[nodiscard]] std::string Describe() const;
};

/// Index of a run field that is known to exist.
[[nodiscard]] size_t RunFieldIndex(std::string_view name);

/// steps × batch: the samples that a run of at least `samples` sees.
[[nodiscard]] int64_t RealisedSamples(int64_t samples, int64_t batch);

}  // namespace sweep
