#pragma once

#include <optional>

#include "fit/problem.h"
#include "fit/report.h"

namespace sweep {

/// The geometry at the optimum `inner`: covariance sigma² (J'WJ)^-1 for squared loss, the sandwich
/// H^-1 (Σ w² psi² J J') H^-1 · n/(n-p) for robust ones (Huber 1967), rows of held parameters zero;
/// empty when it is singular or nothing is left to estimate sigma from.
[[nodiscard]] Linearisation Linearise(const Problem& problem,
                                      const std::vector<double>& inner,
                                      const std::vector<bool>& held);

/// Largest over smallest singular value of the weighted Jacobian of the free parameters, its
/// columns scaled to length one: how far the parameters can be told apart by these points. Absent
/// when a column is zero.
[[nodiscard]] std::optional<double> ConditionNumber(const Problem& problem,
                                                    const std::vector<double>& inner,
                                                    const std::vector<bool>& held);

}  // namespace sweep
