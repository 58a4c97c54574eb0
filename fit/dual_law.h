#pragma once

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "fit/dual.h"
#include "fit/law.h"

namespace sweep {

/// What a Formula returns.
enum class Returns { kValue, kLogarithm };

/// The batch function of a law written as one formula, by automatic differentiation. Formula holds
/// the points' variables and has `template <class T> T operator()(std::size_t point, const T*
/// inner) const`, and `static constexpr Returns kReturns`.
template <std::size_t P, class Formula>
class DualLaw : public BoundLaw {
 public:
  DualLaw(std::size_t points, Formula formula) : points_(points), formula_(std::move(formula)) {}

  [[nodiscard]] std::size_t points() const override { return points_; }
  [[nodiscard]] std::size_t parameters() const override { return P; }

  void Evaluate(std::span<const double> inner,
                Residual space,
                bool derivatives,
                Evaluation& out) const override {
    out.value.resize(points_);
    if (!derivatives) {
      for (std::size_t i = 0; i < points_; ++i)
        out.value[i] = InSpace(formula_(i, inner.data()), space);
      return;
    }
    out.jacobian.resize(P * points_);
    const auto duals = Variables<false>(inner);
    for (std::size_t i = 0; i < points_; ++i) {
      const Dual<P, false> value = InSpace(formula_(i, duals.data()), space);
      out.value[i] = value.v;
      for (std::size_t k = 0; k < P; ++k) out.jacobian[k * points_ + i] = value.g[k];
    }
  }

  void AddCurvature(std::span<const double> inner,
                    Residual space,
                    const Evaluation&,
                    std::span<const double> factors,
                    double* curvature) const override {
    const auto duals = Variables<true>(inner);
    for (std::size_t i = 0; i < points_; ++i) {
      if (factors[i] == 0) continue;
      const Dual<P, true> value = InSpace(formula_(i, duals.data()), space);
      for (std::size_t a = 0, k = 0; a < P; ++a) {
        for (std::size_t b = 0; b <= a; ++b, ++k) curvature[a * P + b] += factors[i] * value.h[k];
      }
    }
  }

 private:
  template <bool kSecond>
  std::array<Dual<P, kSecond>, P> Variables(std::span<const double> inner) const {
    std::array<Dual<P, kSecond>, P> duals;
    for (std::size_t k = 0; k < P; ++k) duals[k] = Dual<P, kSecond>::Variable(inner[k], k);
    return duals;
  }

  template <class T>
  static T InSpace(const T& value, Residual space) {
    using std::exp;
    using std::log;
    constexpr bool kLog = Formula::kReturns == Returns::kLogarithm;
    if (space == Residual::kLog) return kLog ? value : log(value);
    return kLog ? exp(value) : value;
  }

  std::size_t points_;
  Formula formula_;
};

/// BindDual<4>(n, Formula{…}).
template <std::size_t P, class Formula>
std::unique_ptr<BoundLaw> BindDual(std::size_t points, Formula formula) {
  return std::make_unique<DualLaw<P, Formula>>(points, std::move(formula));
}

}  // namespace sweep
