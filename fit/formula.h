#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fit/report.h"

namespace sweep {

/// How coefficients are handed on.
enum class FormulaStyle { kText, kCsv, kLatex, kPython, kCpp };

/// "text", "csv", "latex", "python", "cpp". Throws Failure(kUsage).
[[nodiscard]] FormulaStyle ParseFormulaStyle(std::string_view text);

/// Fitted laws to read or to paste. Python and C++ are functions of the law's variables with every
/// digit of the coefficients, which return what `predict` says; LaTeX is the formula with the
/// coefficients in four digits; CSV has a row for each parameter.
[[nodiscard]] std::string FormulaText(const std::vector<FitReport>& reports, FormulaStyle style);

}  // namespace sweep
