#include "fit/objective.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fit/vector_math.h"

namespace sweep {
namespace {

// One point's term of the objective as a function of its residual r.
struct Term {
  double value;       // half of rho(r²)
  double reweighted;  // psi(r)/r = rho'
  double bend;        // psi'(r) = rho' + 2 r² rho''
};

struct Squared {
  Term operator()(double r) const { return {0.5 * r * r, 1, 1}; }
};

struct Huber {
  double delta;
  Term operator()(double r) const {
    const double size = std::abs(r);
    const bool inside = size <= delta;
    return {inside ? 0.5 * r * r : delta * (size - 0.5 * delta),
            inside ? 1 : delta / size,
            inside ? 1.0 : 0.0};
  }
};

// |r| itself at width 0; else Huber's function divided by its width.
struct Absolute {
  double width;
  Term operator()(double r) const {
    const double size = std::abs(r);
    const bool inside = size < width;
    return {inside ? 0.5 * r * r / width : size - 0.5 * width,
            1 / std::max({size, width, std::numeric_limits<double>::min()}),
            inside ? 1 / width : 0};
  }
};

struct Cauchy {
  double scale;
  Term operator()(double r) const {
    const double s = r * r / (scale * scale);
    const double rho1 = 1 / (1 + s);
    return {0.5 * scale * scale * std::log1p(s), rho1, rho1 - 2 * s * rho1 * rho1};
  }
};

struct Tukey {
  double scale;
  Term operator()(double r) const {
    const double s = r * r / (scale * scale);
    const double rest = 1 - std::min(s, 1.0);
    return {scale * scale / 6 * (1 - rest * rest * rest), rest * rest, rest * rest - 4 * s * rest};
  }
};

template <class Function>
double Sum(Function function, std::span<const double> residuals, std::span<const double> weights) {
  double sum = 0;
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    sum += (weights.empty() ? 1 : weights[i]) * function(residuals[i]).value;
  }
  return sum;
}

}  // namespace

Objective::Objective(const BoundLaw& law,
                     std::span<const double> target,
                     std::span<const double> weights,
                     Residual space,
                     const Loss& loss)
    : law_(law),
      target_(target),
      weights_(weights),
      space_(space),
      loss_(loss),
      residuals_(target.size()),
      slope_(target.size()),
      bend_(target.size()),
      reweighted_(target.size()) {}

void Objective::EvaluateLaw(std::span<const double> inner, bool derivatives) {
  law_.Evaluate(inner, space_, derivatives, evaluation_);
  for (std::size_t i = 0; i < target_.size(); ++i) {
    residuals_[i] = evaluation_.value[i] - target_[i];
  }
}

double Objective::SumLoss(bool derivatives) {
  const auto apply = [&](auto function) {
    if (!derivatives) return Sum(function, residuals_, weights_);
    double sum = 0;
    for (std::size_t i = 0; i < residuals_.size(); ++i) {
      const Term term = function(residuals_[i]);
      const double w = weight(i);
      sum += w * term.value;
      reweighted_[i] = w * term.reweighted;
      bend_[i] = w * term.bend;
      slope_[i] = w * term.reweighted * residuals_[i];
    }
    return sum;
  };
  double sum = 0;
  switch (loss_.kind) {
    case LossKind::kSquared:
      sum = apply(Squared{});
      break;
    case LossKind::kHuber:
      sum = apply(Huber{loss_.scale});
      break;
    case LossKind::kLad:
      sum = apply(Absolute{width_});
      break;
    case LossKind::kCauchy:
      sum = apply(Cauchy{loss_.scale});
      break;
    case LossKind::kTukey:
      sum = apply(Tukey{loss_.scale});
      break;
  }
  return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
}

double Objective::Value(std::span<const double> inner) {
  EvaluateLaw(inner, false);
  return SumLoss(false);
}

double Objective::Linearize(std::span<const double> inner,
                            Curvature kind,
                            double* gradient,
                            double* curvature) {
  EvaluateLaw(inner, true);
  const double value = SumLoss(true);
  const std::size_t n = points();
  const std::size_t p = parameters();
  const std::vector<double>& square = kind == Curvature::kExact ? bend_ : reweighted_;
  for (std::size_t a = 0; a < p; ++a) {
    const double* ja = &evaluation_.jacobian[a * n];
    gradient[a] = Dot(slope_.data(), ja, n);
    for (std::size_t b = 0; b <= a; ++b) {
      curvature[a * p + b] = Dot3(square.data(), ja, &evaluation_.jacobian[b * n], n);
    }
  }
  if (kind == Curvature::kExact) {
    law_.AddCurvature(inner, space_, evaluation_, slope_, curvature);
  }
  return value;
}

}  // namespace sweep
