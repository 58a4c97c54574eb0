#pragma once

#include <vector>

namespace sweep {

/// The q-quantile of at least one sorted value, linear between neighbours (Hyndman and Fan's type
/// 7, numpy's default).
[[nodiscard]] double SampleQuantile(const std::vector<double>& sorted, double q);

/// Regularised incomplete beta function I_x(a, b), 0 <= x <= 1, a > 0, b > 0: the continued
/// fraction of Abramowitz and Stegun 26.5.8 by Lentz's method. Relative error below 1e-13 for the
/// degrees of freedom that fits have.
[[nodiscard]] double IncompleteBeta(double a, double b, double x);

/// P(Z <= z) of the standard normal distribution.
[[nodiscard]] double NormalCdf(double z);

/// The z with NormalCdf(z) = p; infinite at p = 0 and p = 1.
[[nodiscard]] double NormalQuantile(double p);

/// P(T <= t) of Student's t with `degrees` of freedom, which need not be whole
/// (Welch–Satterthwaite).
[[nodiscard]] double StudentCdf(double t, double degrees);

/// The t with StudentCdf(t, degrees) = p.
[[nodiscard]] double StudentQuantile(double p, double degrees);

/// Two-sided p-value of a t statistic.
[[nodiscard]] double StudentTwoSided(double t, double degrees);

/// P(F <= f) of the F distribution.
[[nodiscard]] double FisherCdf(double f, double degrees1, double degrees2);

/// The f with FisherCdf(f, degrees1, degrees2) = p.
[[nodiscard]] double FisherQuantile(double p, double degrees1, double degrees2);

}  // namespace sweep
