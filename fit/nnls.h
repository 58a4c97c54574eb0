#pragma once

#include <cstddef>
#include <vector>

namespace sweep {

/// The non-negative x that minimises x'Gx/2 - b'x, G the k×k positive semi-definite Gram matrix
/// (row-major): least squares with non-negative coefficients by the active-set method of Lawson and
/// Hanson (1974), on the normal equations because k is small and the result is a starting point.
[[nodiscard]] std::vector<double> NonNegativeLeastSquares(const std::vector<double>& gram,
                                                          const std::vector<double>& b);

}  // namespace sweep
