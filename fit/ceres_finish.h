#pragma once

#include "fit/minimize.h"
#include "fit/objective.h"

namespace sweep {

/// ceres::Solve from `start` on the same objective: Levenberg-Marquardt with Ceres' own losses (one
/// residual block a point when the loss is robust, since Ceres applies a loss to the norm of a
/// block), bounds as Ceres bounds, held parameters constant. The least-absolute objective has no
/// derivative where it matters and is returned as it came.
[[nodiscard]] Minimum FinishWithCeres(Objective& objective,
                                      const std::vector<double>& start,
                                      const Box& box);

}  // namespace sweep
