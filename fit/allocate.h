#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/fit.h"

namespace sweep {

/// What compute buys: C = k · N^m · D. Six and one for language models counted as 6·N·D; fitted to
/// the points where they have a compute of their own (an image tower's compute grows faster than
/// its parameters).
struct ComputeRule {
  double k = 6;
  double m = 1;
  double spread = 1;  ///< largest over smallest ratio of a point's C to the rule's
  [[nodiscard]] double Data(double c, double n) const;
  [[nodiscard]] double Compute(double n, double d) const;
};

/// The best size at each compute as a power law: ln N = log_g + exponent · ln C.
struct AllocationLine {
  double log_g = 0;
  double exponent = 0;
};

/// One compute at which an approach found a best size.
struct Optimum {
  double c = 0, n = 0, d = 0;
};

/// One way from runs to the best split of compute (Hoffmann et al. 2022, section 3).
struct AllocationApproach {
  std::string name;  ///< "parametric", "isoflop", "envelope"
  AllocationLine line = {};
  std::vector<AllocationLine> draws = {};    ///< of resamples: what intervals are read from
  std::vector<Optimum> optima = {};          ///< what the line went through; none for parametric
  std::vector<ExcludedPoint> excluded = {};  ///< budgets and sizes left out, why
  /// What the approach would find on noise-free values of the parametric law at these points, less
  /// that law's own exponent: the bias of the design.
  std::optional<double> design_bias = {};
  std::optional<double> design_factor = {};  ///< and its best sizes over the law's, middle budget
  std::string failure = {};                  ///< why it could not be done; empty otherwise
};

struct Allocation {
  ComputeRule rule;
  std::optional<FitReport> law;                ///< chinchilla, as approach 3 fits it
  std::vector<AllocationApproach> approaches;  ///< parametric first
  std::vector<std::string> warnings;
  double level = 0.95;
};

/// All three approaches to points of N, D and, where compute is not 6·N·D, C. `options`: loss,
/// residual, starts, level, seed, resamples and threads of the parametric law and of all intervals.
/// - parametric: chinchilla; N = G (C/k)^a with a = beta/(alpha + m beta), G from the derivative.
/// - isoflop: budgets are points whose C lie within 10 % of a neighbour's; in each with four sizes
/// or
///   more a parabola of the observable over ln N, its minimum inside the sizes; a line through the
///   minima.
/// - envelope: each size is a curve over compute, interpolated in logarithms; at 1,500 computes the
///   lowest curve; a line through these, without those where the smallest or the largest size is
///   the lowest, since the best size may lie beyond.
/// Intervals: percentiles of resamples (points; points within each budget; sizes).
/// Throws Failure(kData) when the points have not N and D.
[[nodiscard]] Allocation Allocate(const PointTable& points, const FitOptions& options);

/// What an approach says for one budget.
struct AllocationTarget {
  double budget = 0;
  double n = 0, d = 0;
  std::optional<double> n_low = {}, n_high = {}, d_low = {}, d_high = {};
  std::optional<double> loss = {};  ///< of the parametric law there
};
[[nodiscard]] AllocationTarget TargetOf(const Allocation& allocation,
                                        const AllocationApproach& approach,
                                        double budget);

/// Percentiles of the draws' exponents; absent where there are too few.
struct ExponentInterval {
  std::optional<double> low = {}, high = {};
};
[[nodiscard]] ExponentInterval ExponentIntervalOf(const AllocationApproach& approach, double level);

/// Schema sweep.allocate/1.
[[nodiscard]] Json ToJson(const Allocation& allocation, const std::vector<double>& budgets);

}  // namespace sweep
