#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "fit/law.h"
#include "fit/vector_math.h"

namespace sweep {

/// A law that runs from one level to another: y = e^u0 (1 - S) + e^u1 S with S = 1 / (1 + e^-z).
/// In closed form, because dual numbers cost twenty times as much and these laws have profiles on a
/// million points. `Curve` says how z depends on the point and on the inner parameters u:
///
///   kParameters                   with both levels
///   points()
///   Solve(u, z, work, more)       fills z (n), with two work spaces of n; false where there is no
///                                 such law
///   Prepare(u)                    what Slopes and Bends need and all points share
///   Slopes(shared, i, z, S, 1-S)  array of the derivatives of z by u
///   Bends(shared, slopes, z, S, 1-S)  lower triangle of the second ones, row by row
template <class Curve>
class BetweenLevels : public BoundLaw {
 public:
  explicit BetweenLevels(Curve curve) : curve_(std::move(curve)) {}
  std::size_t points() const override { return curve_.points(); }
  std::size_t parameters() const override { return P; }

  // Scratch: z, S, 1 - S, and what turns a derivative of y into one of the value, n of each.
  void Evaluate(std::span<const double> u,
                Residual space,
                bool derivatives,
                Evaluation& out) const override {
    const std::size_t n = points();
    out.value.resize(n);
    out.scratch.resize(4 * n);
    double* const z = out.scratch.data();
    double* const upper = z + n;
    double* const lower = upper + n;
    double* const scale = lower + n;
    if (!curve_.Solve(u, z, upper, lower)) {
      out.value.assign(n, std::numeric_limits<double>::quiet_NaN());
      if (derivatives) out.jacobian.assign(P * n, std::numeric_limits<double>::quiet_NaN());
      return;
    }
    const double low = std::exp(u[0]);
    const double high = std::exp(u[1]);
    for (std::size_t i = 0; i < n; ++i) lower[i] = -std::abs(z[i]);
    ExpInPlace(lower, n);
    for (std::size_t i = 0; i < n; ++i) {
      const double more = 1 / (1 + lower[i]);
      const double less = lower[i] * more;
      upper[i] = z[i] > 0 ? more : less;
      lower[i] = z[i] > 0 ? less : more;
    }
    for (std::size_t i = 0; i < n; ++i) out.value[i] = low * lower[i] + high * upper[i];
    const bool log = space == Residual::kLog;
    for (std::size_t i = 0; i < n; ++i) scale[i] = log ? 1 / out.value[i] : 1;
    if (log) LogInPlace(out.value.data(), n);
    if (derivatives) FillJacobian(u, low, high, out);
  }

  void AddCurvature(std::span<const double> u,
                    Residual space,
                    const Evaluation& last,
                    std::span<const double> factors,
                    double* curvature) const override {
    const std::size_t n = points();
    const double* const z = last.scratch.data();
    const double* const jacobian = last.jacobian.data();
    const double low = std::exp(u[0]);
    const double high = std::exp(u[1]);
    const double width = high - low;
    const double log = space == Residual::kLog ? 1 : 0;
    const auto shared = curve_.Prepare(u);
    std::array<double, P*(P + 1) / 2> sums{};
    for (std::size_t i = 0; i < n; ++i) {
      const double upper = z[n + i];
      const double lower = z[2 * n + i];
      const double bell = upper * lower;
      const std::array<double, P> by_z = curve_.Slopes(shared, i, z[i], upper, lower);
      const auto bends = curve_.Bends(shared, by_z, z[i], upper, lower);
      const double factor = factors[i] * z[3 * n + i];
      const double first = factor * width * bell;
      const double second = first * (lower - upper);
      const double by_low = -factor * bell * low;
      const double by_high = factor * bell * high;
      sums[0] += factor * low * lower;
      sums[2] += factor * high * upper;
      for (std::size_t a = 0, k = 0; a < P; ++a) {
        const double here = log * factors[i] * jacobian[a * n + i];
        for (std::size_t b = 0; b <= a; ++b, ++k) {
          sums[k] += second * by_z[a] * by_z[b] + first * bends[k] - here * jacobian[b * n + i];
          if (b == 0) sums[k] += by_low * by_z[a];
          if (b == 1) sums[k] += by_high * by_z[a];
          if (a == 0) sums[k] += by_low * by_z[b];
          if (a == 1) sums[k] += by_high * by_z[b];
        }
      }
    }
    for (std::size_t a = 0, k = 0; a < P; ++a) {
      for (std::size_t b = 0; b <= a; ++b, ++k) curvature[a * P + b] += sums[k];
    }
  }

 private:
  static constexpr std::size_t P = Curve::kParameters;

  void FillJacobian(std::span<const double> u, double low, double high, Evaluation& out) const {
    const std::size_t n = points();
    out.jacobian.resize(P * n);
    const double* const z = out.scratch.data();
    double* const jacobian = out.jacobian.data();
    const auto shared = curve_.Prepare(u);
    for (std::size_t i = 0; i < n; ++i) {
      const double upper = z[n + i];
      const double lower = z[2 * n + i];
      const double scale = z[3 * n + i];
      const double along = scale * (high - low) * upper * lower;
      const std::array<double, P> by_z = curve_.Slopes(shared, i, z[i], upper, lower);
      jacobian[i] = scale * low * lower + along * by_z[0];
      jacobian[n + i] = scale * high * upper + along * by_z[1];
      for (std::size_t k = 2; k < P; ++k) jacobian[k * n + i] = along * by_z[k];
    }
  }

  Curve curve_;
};

}  // namespace sweep
