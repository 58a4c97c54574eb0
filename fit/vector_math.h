#pragma once

#include <cstddef>

namespace sweep {

/// values[i] = exp(values[i]), n values at once, error below 2 units in the last place; arguments
/// outside [-708, 709] are moved to that range, so minus infinity gives 3e-308 (as good as zero
/// beside any other term) and nothing overflows. Compiled once for each instruction set and chosen
/// at run time, which is what makes thousands of starts affordable.
void ExpInPlace(double* values, std::size_t n);

/// values[i] = ln(values[i]) for positive normal numbers, error below 2 units in the last place;
/// infinity and NaN stay what they are.
void LogInPlace(double* values, std::size_t n);

/// Sum of a[i]*b[i], in eight partial sums: quicker, and more exact, than one running sum.
[[nodiscard]] double Dot(const double* a, const double* b, std::size_t n);

/// Sum of w[i]*a[i]*b[i].
[[nodiscard]] double Dot3(const double* w, const double* a, const double* b, std::size_t n);

}  // namespace sweep
