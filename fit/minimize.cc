#include "fit/minimize.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

namespace sweep {
namespace {

constexpr int kMostParameters = 16;
using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, kMostParameters, kMostParameters>;
using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, kMostParameters, 1>;
using Index = Eigen::Index;

constexpr double kDampingStart = 1e-3;
constexpr double kDampingLeast = 1e-12;
constexpr double kDampingMost = 1e12;
// Below this relative gain of a reweighted step the exact second derivative takes over.
constexpr double kNewtonBelow = 1e-2;
// Farthest move in one step: a factor of 150 for a positive coefficient; for an exponent half a
// unit, or half of itself.
constexpr double kLogReach = 5;
constexpr double kReach = 0.5;
// Relative changes of the objective that may be rounding alone.
constexpr double kRounding = 1e-13;

struct Step {
  Vector move;
  double promised = 0;  // how much the quadratic model says it gains
  bool positive_definite = false;
};

class Descent {
 public:
  Descent(Objective& objective, std::vector<double> start, const Box& box)
      : objective_(objective),
        box_(box),
        inner_(std::move(start)),
        p_(static_cast<Index>(inner_.size())),
        gradient_(p_),
        curvature_(p_, p_) {
    for (std::size_t k = 0; k < inner_.size(); ++k) {
      if (!box_.held[k]) inner_[k] = std::clamp(inner_[k], box_.lower[k], box_.upper[k]);
    }
    floor_ = RoundingFloor();
    value_ = Linearize(Objective::Curvature::kReweighted);
  }

  Minimum Run(const MinimizeOptions& options) {
    Minimum minimum;
    while (minimum.steps < options.max_steps && std::isfinite(value_)) {
      ++minimum.steps;
      if (const std::optional<Stop> stop = OneStep(options.tolerance)) {
        minimum.stop = *stop;
        break;
      }
    }
    minimum.inner = std::move(inner_);
    minimum.objective = value_;
    return minimum;
  }

 private:
  using Curvature = Objective::Curvature;

  // One accepted step, or the reason to stop.
  std::optional<Stop> OneStep(double tolerance) {
    const double negligible = std::max(tolerance * value_, floor_);
    bool refused = false;
    for (;;) {
      const Step step = Solve(damping_);
      if (!step.positive_definite) {
        if (kind_ == Curvature::kExact && !refused_exact_) {
          UseReweighted();
          continue;
        }
        if (!RaiseDamping()) return Stop::kStalled;
        continue;
      }
      if (step.promised <= negligible) {
        if (kind_ == Curvature::kReweighted && !refused_exact_) {
          UseExact();
          continue;
        }
        // Little promised because of the damping, not because the minimum is near?
        const Step full = Solve(kDampingLeast);
        if (!refused && full.positive_definite && full.promised > negligible) {
          damping_ = kDampingLeast;
          continue;
        }
        TryLast(full);
        return full.promised <= kRounding * value_ ? Stop::kConverged : Stop::kStalled;
      }
      if (Try(step)) return std::nullopt;
      refused = true;
      if (!RaiseDamping()) return Stop::kStalled;
    }
  }

  // Moves if the objective falls; chooses the next damping and curvature from how well the model
  // foretold it.
  bool Try(const Step& step) {
    const std::vector<double> trial = Moved(step);
    const double trial_value = objective_.Value(trial);
    if (!(trial_value < value_)) return false;
    const double gained = value_ - trial_value;
    const double ratio = gained / step.promised;
    if (ratio > 0.75) damping_ = std::max(damping_ * 0.1, kDampingLeast);
    if (ratio < 0.25) damping_ = std::min(damping_ * 4, kDampingMost);
    inner_ = trial;
    refused_exact_ = false;
    value_ = Linearize(gained < kNewtonBelow * value_ ? Curvature::kExact : Curvature::kReweighted);
    return true;
  }

  // The last step gains less than the objective resolves, but the gradient still knows the way: an
  // objective right to 1e-16 leaves parameters right to 1e-8 only. Taken unless it does more harm
  // than rounding.
  void TryLast(const Step& step) {
    if (!step.positive_definite) return;
    const std::vector<double> trial = Moved(step);
    const double trial_value = objective_.Value(trial);
    if (!(trial_value <= value_ + std::max(kRounding * value_, floor_))) return;
    value_ = trial_value;
    inner_ = trial;
  }

  std::vector<double> Moved(const Step& step) const {
    std::vector<double> moved = inner_;
    for (std::size_t k = 0; k < moved.size(); ++k) {
      if (box_.held[k]) continue;
      moved[k] =
          std::clamp(moved[k] + step.move(static_cast<Index>(k)), box_.lower[k], box_.upper[k]);
    }
    return moved;
  }

  bool RaiseDamping() {
    damping_ = std::max(damping_ * 8, kDampingStart);
    return damping_ <= kDampingMost;
  }

  void UseReweighted() {
    refused_exact_ = true;
    Linearize(Curvature::kReweighted);
  }
  void UseExact() { Linearize(Curvature::kExact); }

  double Linearize(Curvature kind) {
    kind_ = kind;
    std::array<double, kMostParameters> gradient{};
    std::array<double, kMostParameters * kMostParameters> curvature{};
    const double value = objective_.Linearize(inner_, kind, gradient.data(), curvature.data());
    for (Index a = 0; a < p_; ++a) {
      gradient_(a) = gradient[static_cast<std::size_t>(a)];
      for (Index b = 0; b <= a; ++b) {
        curvature_(a, b) = curvature_(b, a) = curvature[static_cast<std::size_t>(a * p_ + b)];
      }
    }
    return value;
  }

  // The damped Newton step inside the box: where it would leave, the parameter is set on its bound
  // and the others solved again.
  Step Solve(double damping) const {
    Step step{.move = Vector::Zero(p_)};
    std::vector<bool> moving = Moving();
    for (Index round = 0; round <= p_; ++round) {
      if (!SolveMoving(damping, moving, step)) return step;
      if (!StopAtBounds(moving, step)) break;
    }
    step.positive_definite = true;
    step.promised = -step.move.dot(gradient_) - 0.5 * step.move.dot(curvature_ * step.move);
    return step;
  }

  std::vector<bool> Moving() const {
    std::vector<bool> moving(inner_.size());
    for (std::size_t k = 0; k < inner_.size(); ++k) {
      const auto i = static_cast<Index>(k);
      const bool pushed_out = (inner_[k] <= box_.lower[k] && gradient_(i) > 0) ||
                              (inner_[k] >= box_.upper[k] && gradient_(i) < 0);
      const bool without_effect = gradient_(i) == 0 && curvature_(i, i) == 0;
      moving[k] = !box_.held[k] && !pushed_out && !without_effect;
    }
    return moving;
  }

  // Solves for the moving parameters, given the moves of the others. False when the matrix is not
  // positive definite.
  bool SolveMoving(double damping, const std::vector<bool>& moving, Step& step) const {
    std::array<Index, kMostParameters> index{};
    Index m = 0;
    for (Index k = 0; k < p_; ++k) {
      if (moving[static_cast<std::size_t>(k)]) index[static_cast<std::size_t>(m++)] = k;
    }
    if (m == 0) return true;
    Vector fixed_moves = step.move;
    for (Index i = 0; i < m; ++i) fixed_moves(index[static_cast<std::size_t>(i)]) = 0;
    const Vector pull = gradient_ + curvature_ * fixed_moves;
    Matrix matrix(m, m);
    Vector right(m);
    Vector scale(m);
    for (Index i = 0; i < m; ++i) {
      const Index a = index[static_cast<std::size_t>(i)];
      scale(i) = 1 / std::sqrt(std::max(std::abs(curvature_(a, a)), 1e-290));
    }
    for (Index i = 0; i < m; ++i) {
      const Index a = index[static_cast<std::size_t>(i)];
      right(i) = -pull(a) * scale(i);
      for (Index j = 0; j < m; ++j) {
        matrix(i, j) = curvature_(a, index[static_cast<std::size_t>(j)]) * scale(i) * scale(j);
      }
      matrix(i, i) += damping;
    }
    const Eigen::LLT<Matrix> factor(matrix);
    if (factor.info() != Eigen::Success) return false;
    const Vector solved = factor.solve(right);
    if (!solved.allFinite()) return false;
    for (Index i = 0; i < m; ++i) {
      step.move(index[static_cast<std::size_t>(i)]) = solved(i) * scale(i);
    }
    return true;
  }

  // Farthest move in one step. A term too small to be felt asks for moves of hundreds of units; cut
  // short, it comes back to life instead of overshooting.
  double Reach(std::size_t k) const {
    return box_.logarithmic[k] ? kLogReach : kReach * std::max(1.0, std::abs(inner_[k]));
  }

  // True when a move had to be cut, at a bound or at its reach.
  bool StopAtBounds(std::vector<bool>& moving, Step& step) const {
    bool cut = false;
    for (std::size_t k = 0; k < inner_.size(); ++k) {
      if (!moving[k]) continue;
      double& move = step.move(static_cast<Index>(k));
      const double reach = Reach(k);
      const double near = std::clamp(move, -reach, reach);
      const double inside = std::clamp(inner_[k] + near, box_.lower[k], box_.upper[k]);
      if (inside == inner_[k] + move) continue;
      move = inside - inner_[k];
      moving[k] = false;
      cut = true;
    }
    return cut;
  }

  // Below this no difference of the objective means anything: residuals of a few units in the last
  // place of the target.
  double RoundingFloor() const {
    double floor = 0;
    for (std::size_t i = 0; i < objective_.points(); ++i) {
      const double ulp = std::numeric_limits<double>::epsilon() * objective_.target()[i];
      floor += objective_.weight(i) * ulp * ulp;
    }
    return 0.1 * floor;
  }

  Objective& objective_;
  const Box& box_;
  std::vector<double> inner_;
  Index p_;
  Vector gradient_;
  Matrix curvature_;
  Curvature kind_ = Curvature::kReweighted;
  bool refused_exact_ = false;
  double value_ = 0;
  double floor_ = 0;
  double damping_ = kDampingStart;
};

}  // namespace

Minimum Minimize(Objective& objective,
                 std::vector<double> start,
                 const Box& box,
                 const MinimizeOptions& options) {
  return Descent(objective, std::move(start), box).Run(options);
}

Minimum MinimizeToTheEnd(Objective& objective,
                         std::vector<double> start,
                         const Box& box,
                         const MinimizeOptions& options) {
  if (objective.loss().kind != LossKind::kLad) {
    return Minimize(objective, std::move(start), box, options);
  }
  (void)objective.Value(start);
  double width = 0;
  for (const double r : objective.residuals()) {
    width = std::max(width, std::min(std::abs(r), 1e300));
  }
  Minimum minimum{.inner = std::move(start)};
  int steps = 0;
  for (double part = 0.1; part > 1e-13; part *= 0.1) {
    objective.SmoothAbsolute(std::max(part * width, 1e-300));
    minimum = Minimize(objective, std::move(minimum.inner), box, options);
    steps += minimum.steps;
  }
  objective.SmoothAbsolute(0);
  minimum.objective = objective.Value(minimum.inner);
  minimum.steps = steps;
  return minimum;
}

}  // namespace sweep
