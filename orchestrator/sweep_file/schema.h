#pragma once

#include "core/json.h"

namespace sweep {

/// The JSON Schema (draft 2020-12) of sweep files, made from the field tables. It knows the shape:
/// fields, types, ranges and choices. What needs other files or other fields (names of models,
/// expressions, links between runs) `sweep validate` alone can tell.
[[nodiscard]] Json SweepFileSchema();

}  // namespace sweep
