#pragma once

#include <span>
#include <vector>

#include "fit/law.h"
#include "fit/options.h"

namespace sweep {

/// ½ Σ w·rho(r²) (Σ w·|r| for lad) of a law over points, with r = value - target in the residual's
/// space, as a function of the inner parameters. Holds work space: one Objective a thread. What it
/// refers to must outlive it.
class Objective {
 public:
  /// `target`: ln y or y, n values. `weights`: n, or empty for ones.
  Objective(const BoundLaw& law,
            std::span<const double> target,
            std::span<const double> weights,
            Residual space,
            const Loss& loss);

  [[nodiscard]] std::size_t parameters() const { return law_.parameters(); }
  [[nodiscard]] std::size_t points() const { return target_.size(); }
  [[nodiscard]] const Loss& loss() const { return loss_; }
  [[nodiscard]] Residual space() const { return space_; }
  [[nodiscard]] const BoundLaw& law() const { return law_; }
  [[nodiscard]] std::span<const double> target() const { return target_; }
  [[nodiscard]] double weight(std::size_t i) const { return weights_.empty() ? 1 : weights_[i]; }

  /// For lad only: |r| is rounded off below `width` (Huber's function divided by its delta), so
  /// that Newton's method applies; zero gives the exact sum.
  void SmoothAbsolute(double width) { width_ = width; }

  /// The objective, infinite where it cannot be evaluated.
  [[nodiscard]] double Value(std::span<const double> inner);

  enum class Curvature {
    kReweighted,  ///< Σ w rho' J J': positive semi-definite, what iteratively reweighted least
                  ///< squares uses
    kExact,       ///< the second derivative itself
  };
  /// The objective; gradient (p) and the lower triangle of the curvature (p×p, row-major) are
  /// overwritten.
  double Linearize(std::span<const double> inner,
                   Curvature kind,
                   double* gradient,
                   double* curvature);

  /// Of the last Value or Linearize: residuals r (n).
  [[nodiscard]] std::span<const double> residuals() const { return residuals_; }
  /// Of the last Linearize: jacobian[k*n + i].
  [[nodiscard]] std::span<const double> jacobian() const { return evaluation_.jacobian; }
  /// Of the last Linearize: w psi(r), the derivative of each point's term by its residual (n).
  [[nodiscard]] std::span<const double> slopes() const { return slope_; }
  /// Of the last Linearize: w psi'(r) (n).
  [[nodiscard]] std::span<const double> bends() const { return bend_; }

 private:
  void EvaluateLaw(std::span<const double> inner, bool derivatives);
  double SumLoss(bool derivatives);

  const BoundLaw& law_;
  std::span<const double> target_;
  std::span<const double> weights_;
  Residual space_;
  Loss loss_;
  double width_ = 0;
  Evaluation evaluation_;
  std::vector<double> residuals_;
  std::vector<double> slope_;       // w psi(r): derivative of the point's term by r
  std::vector<double> bend_;        // w psi'(r)
  std::vector<double> reweighted_;  // w psi(r)/r
};

}  // namespace sweep
