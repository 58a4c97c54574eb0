#pragma once

#include <cstdint>

#include "core/json.h"

namespace sweep {

/// Throws Malformed, naming the member, unless an event is what docs/run_directory.md says: `seq`,
/// `at` and `type`, and the members of the types that are known. Members and types that are not
/// known may hold anything. A run sees `most_samples` with its ancestors.
void CheckEvent(const Json& event, int64_t most_samples);

}  // namespace sweep
