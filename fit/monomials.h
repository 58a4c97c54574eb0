#pragma once

#include <memory>
#include <vector>

#include "fit/law.h"

namespace sweep {

/// One term of a sum: exp(inner[coefficient] + inner[exponent] * slope[i]) at point i, where slope
/// is the signed logarithm that the exponent multiplies (-ln N for A·N^-alpha). Without an exponent
/// the term is a constant floor.
struct Monomial {
  static constexpr int kNone = -1;
  int coefficient = 0;
  int exponent = kNone;
  std::vector<double> slope = {};  ///< n values, or empty without an exponent
};

/// The natural logarithms of a variable, times `sign`.
[[nodiscard]] std::vector<double> Logarithms(const PointTable& points,
                                             std::string_view variable,
                                             double sign);

/// The batch function of every law that is a sum of such terms (power laws with floors, Chinchilla,
/// the joint form with batch size): value by log-sum-exp, first and second derivatives in closed
/// form.
[[nodiscard]] std::unique_ptr<BoundLaw> BindMonomials(std::size_t points,
                                                      std::size_t parameters,
                                                      std::vector<Monomial> terms);

/// Starting points for a sum of terms: exponents from a low-discrepancy sequence in [lower[k],
/// upper[k]] (one range for each term that has an exponent, in order), coefficients by non-negative
/// least squares on the relative error, so a start is already the best law of its exponents.
/// `count` of them, shifted by `seed`.
struct ExponentRange {
  double lower;
  double upper;
};
[[nodiscard]] Starts MonomialStarts(const PointTable& points,
                                    std::size_t parameters,
                                    const std::vector<Monomial>& terms,
                                    const std::vector<ExponentRange>& ranges,
                                    std::size_t count,
                                    std::uint64_t seed);

}  // namespace sweep
