#pragma once

#include <vector>

#include "fit/points.h"

namespace sweep {

/// Non-negative coefficients of columns (n values each) whose sum comes closest to the observable
/// in relative terms (each point divided by its observable), weighted: the linear half of a law,
/// once its other parameters are chosen. Never exactly zero: a coefficient that would be gets a
/// thousandth of the typical observable over its column, since a logarithmic parameter does not
/// come back from zero.
[[nodiscard]] std::vector<double> RelativeCoefficients(
    const PointTable& points, const std::vector<std::vector<double>>& columns);

/// The same for a target of one's own (positive values, n), relative to it.
[[nodiscard]] std::vector<double> RelativeCoefficients(
    const std::vector<double>& target,
    const std::vector<double>& weights,
    const std::vector<std::vector<double>>& columns);

}  // namespace sweep
