#pragma once

#include <vector>

#include "fit/objective.h"

namespace sweep {

/// The region a minimum is sought in, inner parameters. `held` parameters keep the value they start
/// with.
struct Box {
  std::vector<double> lower;
  std::vector<double> upper;
  std::vector<bool> held;
  std::vector<bool>
      logarithmic;  ///< inner values that are logarithms: their steps are cut at an absolute length
};

/// Does a free parameter lie on one of its bounds?
[[nodiscard]] inline bool IsAtBound(const Box& box,
                                    std::size_t k,
                                    const std::vector<double>& inner) {
  return !box.held[k] && (inner[k] == box.lower[k] || inner[k] == box.upper[k]);
}

enum class Stop {
  kConverged,  ///< the next step would gain less than rounding
  kStalled,    ///< no step reduces the objective, though the model promises more than rounding
  kSteps,      ///< out of steps
};

struct MinimizeOptions {
  int max_steps = 300;
  double tolerance =
      1e-15;  ///< converged when the next step promises less than this part of the objective
};

struct Minimum {
  std::vector<double> inner;
  double objective = 0;
  int steps = 0;
  Stop stop = Stop::kSteps;
};

/// Damped least squares from `start`: steps of iteratively reweighted Gauss-Newton
/// (Levenberg-Marquardt) while far away, of the exact second derivative (Newton) once that is
/// positive definite and pays, parameters at a bound held for as long as the gradient pushes them
/// outward. With a robust loss the reweighted step alone converges linearly, in hundreds of steps;
/// the exact one finishes in a handful.
[[nodiscard]] Minimum Minimize(Objective& objective,
                               std::vector<double> start,
                               const Box& box,
                               const MinimizeOptions& options = {});

/// Minimises Σ w·|r| (or any other loss, as Minimize): a sequence of ever sharper roundings of |r|,
/// each from the last one's minimum, down to 1e-12 of the typical residual. `objective` is the
/// exact sum.
[[nodiscard]] Minimum MinimizeToTheEnd(Objective& objective,
                                       std::vector<double> start,
                                       const Box& box,
                                       const MinimizeOptions& options = {});

}  // namespace sweep
