#pragma once

#include <string>
#include <vector>

namespace sweep {

/// "p = 0.038", or "p < 0.001": a p-value is never zero.
[[nodiscard]] std::string PValueText(double p);

/// p-values adjusted for testing all of them at once, in the order given. Holm 1979: the chance of
/// one false finding in the family stays below the level, whatever their dependence.
[[nodiscard]] std::vector<double> HolmAdjusted(const std::vector<double>& p);

/// Benjamini and Hochberg 1995: the expected share of false ones among the findings stays below the
/// level (independent or positively dependent tests).
[[nodiscard]] std::vector<double> BenjaminiHochbergAdjusted(const std::vector<double>& p);

}  // namespace sweep
