#pragma once

#include <string>

#include "db/store.h"

namespace sweep {

/// The one run of the store whose id begins with `beginning`. Throws Failure(kUsage) when there is
/// none or more than one.
[[nodiscard]] std::string FindRunId(const Store& store, const std::string& beginning);

}  // namespace sweep
