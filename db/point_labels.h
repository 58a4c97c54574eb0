#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "db/records.h"

namespace sweep {

/// What the point at a run's end says of how the run was trained, beyond the run's own spec: as in
/// the view `points`.
struct PointLabels {
  /// The learning rate's schedule with the ancestors': `constant+cosine` for a cosine that took
  /// over from a constant rate. A schedule that only goes on is not repeated, and a constant rate
  /// with a `constant_cooldown` after it is a `constant_cooldown`.
  std::string schedule;
  /// `final`: the end of an ordinary run. `cooldown`: of a branch whose rate fell, of a trunk of
  /// constant rate. `trunk`: of such a trunk, which itself never cooled.
  std::string kind;
};

/// By run id. `runs`: a whole sweep's, parents before their children.
[[nodiscard]] std::unordered_map<std::string, PointLabels> PointLabelsOf(
    const std::vector<RunRow>& runs);

}  // namespace sweep
