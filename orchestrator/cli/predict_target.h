#pragma once

#include <map>
#include <string>
#include <vector>

#include "fit/report.h"

namespace sweep {

/// "N=7e10,D=1.4e12" as values of variables. Throws Failure(kUsage).
[[nodiscard]] std::map<std::string, double> ReadTarget(const std::string& text);

/// C, N and D of a named model that sees `samples` (128k, 12.8B, laion:34B). `published`: with
/// GMACs in two decimals, as the published tables count them. Throws Failure(kUsage).
[[nodiscard]] std::map<std::string, double> TargetOfModel(const std::string& model,
                                                          const std::string& samples,
                                                          bool published);

/// The one target that a command's words --at, or --model and --samples, name. Throws
/// Failure(kUsage) where they name none or several.
[[nodiscard]] std::map<std::string, double> ReadOneTarget(const std::string& command,
                                                          const std::vector<std::string>& at,
                                                          const std::string& model,
                                                          const std::string& samples);

/// The variables that the law has, from a target that may name more.
[[nodiscard]] std::map<std::string, double> ForLaw(const std::map<std::string, double>& target,
                                                   const FitReport& report);

/// "C = 1e+12" or "D = 1.4e+12, N = 7e+10".
[[nodiscard]] std::string TargetText(const std::map<std::string, double>& target);

}  // namespace sweep
