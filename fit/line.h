#pragma once

#include <span>

namespace sweep {

/// y = intercept + slope·x by weighted least squares, with what intervals and tests need. Weights
/// may be empty (ones).
struct Line {
  double slope = 0;
  double intercept = 0;
  double slope_error =
      0;  ///< standard error from the residuals, n - 2 degrees of freedom; 0 for two points
  double sigma = 0;     ///< residual standard deviation
  double x_mean = 0;    ///< weighted
  double x_square = 0;  ///< Σ w (x - x_mean)²
  double weight = 0;    ///< Σ w
  double degrees = 0;   ///< n - 2

  [[nodiscard]] double At(double x) const { return intercept + slope * x; }
  /// Standard error of the line at x.
  [[nodiscard]] double ErrorAt(double x) const;
};

/// The slope is not a number when all x agree.
[[nodiscard]] Line FitLine(std::span<const double> x,
                           std::span<const double> y,
                           std::span<const double> weights = {});

}  // namespace sweep
