#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace sweep {

/// How many points there are of each kind: `final`, `cooldown`, `trunk` (db/point_labels.h) and
/// `intermediate`, a checkpoint before a run's end; tables may have words of their own.
using KindCounts = std::map<std::string, std::size_t>;

/// The kind that is fitted where none is asked for, the one place that decides it: the ends of
/// whole recipes, which are `final` points and `cooldown` ones, whichever are more; of as many, the
/// branches. Neither a trunk's uncooled end nor a point on the way to an end ever is by default.
[[nodiscard]] std::string UsualKind(const KindCounts& counts);

/// Those of `counts` that are the end of some run, but not of `kind`: what a fit of `kind` leaves
/// out and should say so. Nothing where `kind` is `all`.
[[nodiscard]] KindCounts EndsLeftOut(const KindCounts& counts, const std::string& kind);

/// "2 of kind trunk, 3 of kind final"; empty for none.
[[nodiscard]] std::string KindCountsText(const KindCounts& counts);

}  // namespace sweep
