#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fit/fit.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/point_table.h"

namespace sweep {

/// The options that `fit`, `predict` and `compare` share, as typed.
struct FitWords {
  std::string table;  ///< CSV file; empty: the store's points
  PointQuery query;
  std::string law = "power";
  std::string select;    ///< empty: all points, or the curve's own recipe
  std::string residual;  ///< empty: the law's own
  std::string loss = "squared";
  std::string seeds = "pooled";
  std::optional<double> chance;
  std::vector<std::string> fix, bounds, constants, start;
  std::string starts;  ///< a number, or "grid"
  bool finish_all = false;
  std::uint64_t seed = 0;
  std::string intervals = "auto";
  double level = 0.95;
  std::vector<Target> targets;  ///< where the command itself asks for the law's value
  int threads = 0;              ///< 0: one a core
};

/// Declares them on a subcommand, in groups.
void AddFitWords(CLI::App& command, FitWords& words);

/// Reads the words. Throws Failure(kUsage) naming the option.
[[nodiscard]] FitOptions ReadFitWords(const FitWords& words);

/// The rows to fit: --table, or the store's points. Throws Failure(kUsage) when there is neither.
[[nodiscard]] Table LoadRows(const GlobalOptions& global, const FitWords& words);

/// Groups and their reports side by side: reports carry the group's key, rows left out and
/// warnings.
struct FittedGroups {
  std::vector<PointGroup> groups;
  std::vector<FitOutcome> outcomes;
};
[[nodiscard]] FittedGroups FitGroups(const Table& table, const FitWords& words);

/// "curve laion, task zeroshot_classification" or "all points".
[[nodiscard]] std::string GroupName(const Json& group);

}  // namespace sweep
