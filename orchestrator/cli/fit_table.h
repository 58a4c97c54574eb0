#pragma once

#include <string>
#include <vector>

#include "fit/report.h"

namespace sweep {

/// Reports as tables for people, one for each run of reports with the same law and recipe: the
/// formula and how the intervals were made above, then a row a report with its group, n, and every
/// estimate with its interval.
[[nodiscard]] std::string FitTables(const std::vector<FitReport>& reports);

}  // namespace sweep
