#pragma once

#include <string>
#include <vector>

#include "core/expression.h"
#include "core/json.h"
#include "orchestrator/sweep_file/field_reader.h"
#include "orchestrator/sweep_file/grid_generator.h"

namespace sweep {

/// A value that the sweep file gives to a run field; `field` is an index into RunFields().
struct GivenValue {
  size_t field = 0;
  Json value;           ///< as FieldReader returns it
  std::string pointer;  ///< where it stands
};

struct GridAxis {
  size_t field = 0;
  std::vector<Json> values;
};

struct DerivedField {
  size_t field = 0;
  Expression expression;
  std::string pointer;
};

struct IncludedRun {
  std::vector<GivenValue> values;
  std::string pointer;
};

/// Leaves out grid runs whose every field here has one of the values.
struct Exclusion {
  std::vector<GridAxis> fields;
  std::string pointer;
};

/// The part of a sweep file that says which runs there are: grid, generate, fixed, derive, include,
/// exclude.
struct RunRules {
  std::vector<GridAxis> grid;
  std::optional<GridGenerator> generate;
  std::vector<GivenValue> fixed;
  std::vector<DerivedField> derive;
  std::vector<IncludedRun> include;
  std::vector<Exclusion> exclude;

  /// Product of the lengths of the grid's axes, the generated pairs aside; for a grid without axes
  /// 1, unless included runs stand in its place, then 0. Saturates far above any sweep.
  [[nodiscard]] size_t GridSize() const;
};

/// Reads these members from a sweep file's document. Unknown fields and names, wrong values, a
/// field in more than one of grid, generate, fixed and derive, and derived fields that need
/// themselves are problems.
[[nodiscard]] RunRules ReadRunRules(const FieldReader& reader, const Json& document);

/// Names that expressions may use beside the numeric run fields.
[[nodiscard]] const std::vector<std::string>& DerivedNames();

}  // namespace sweep
