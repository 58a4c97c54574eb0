#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include "fit/options.h"
#include "fit/points.h"
#include "fit/target.h"

namespace sweep {

/// A measurement that could be made.
struct Candidate {
  Target at;        ///< variables of the laws asked about, natural units
  double cost = 0;  ///< positive, in any unit
  /// A candidate that is measured on the way to this one and paid for with it.
  std::optional<std::size_t> after = {};
  /// False: no point of the law. It is never chosen for itself, it only costs on the way to others.
  bool observed = true;
};

/// What is to be known better: the value at a target of the law that `fit` fits to the points.
/// Residuals are squared whatever `fit.loss` says.
struct DesignQuestion {
  PointTable points;
  FitOptions fit;
  Target target;
};

struct DesignOptions {
  double budget = std::numeric_limits<double>::infinity();  ///< of all costs together
  std::size_t most = std::numeric_limits<std::size_t>::max();
  /// Standard deviation of a measurement in the residual's space that is believed before the points
  /// have degrees of freedom to say otherwise; it counts as one of them.
  double scatter = 0.02;
  /// Candidates that are being measured already: known before anything is chosen, at no cost.
  std::vector<std::size_t> under_way = {};
  /// Adds the variance between near-best fits. Without it the choice is the V-optimal design of the
  /// best fit's Jacobian.
  bool several_optima = true;
};

/// How far a question's answer is known: standard deviation of the law's value at the target, in
/// the residual's space (relative, where that is the logarithm).
struct Knowledge {
  double before = 0;     ///< once what is under way is measured
  double after = 0;      ///< expected, once all that was chosen is measured
  double scatter = 0;    ///< of one measurement
  std::size_t fits = 0;  ///< near-best fits that were weighed against each other
};

struct DesignStep {
  std::size_t candidate = 0;
  double cost = 0;            ///< its own and that of what is measured on the way
  std::vector<double> after;  ///< standard deviation of each question's answer, up to this step
};

struct Design {
  std::vector<DesignStep> steps;  ///< in the order in which they pay most
  std::vector<Knowledge> questions;
};

/// The candidates that lower the variance of the answers most, within the budget. The law's value
/// at all candidates and targets has the covariance
///
///   K = Σ_k w_k (J_k (J'J_k / s² + P)^-1 J_k' + (f_k - f)(f_k - f)')
///
/// over near-best fits k: optima of many starts, and fits with a parameter that may vanish held at
/// zero and at a ladder of sizes; w_k from their likelihoods, f_k and J_k values and Jacobian
/// there, P a weak prior as wide as the law's own starting points. Measuring candidate j takes
/// K_tj² / (K_jj + s²) off the variance at the target t, which is V-optimal design (Fedorov 1972)
/// with the variance between fits added. The choice is greedy, by gain for the cost and by gain
/// alone; the better of the two is returned. Several questions count equally, each by the share of
/// its variance. Throws Failure(kData) for points that the law cannot be fitted to and
/// Failure(kUsage) for variables that a candidate lacks.
[[nodiscard]] Design ChooseMeasurements(const std::vector<DesignQuestion>& questions,
                                        const std::vector<Candidate>& candidates,
                                        const DesignOptions& options);

}  // namespace sweep
