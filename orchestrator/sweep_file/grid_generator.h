#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/sweep_file/field_reader.h"

namespace sweep {

/// `count` values from `from` to `to`, both included, evenly spaced in the logarithm.
struct LogRange {
  double from = 0;
  double to = 0;
  int64_t count = 0;

  [[nodiscard]] std::vector<double> Values() const;
};

/// The sweep file's `generate`: pairs of model and samples_seen made by a rule.
struct GridGenerator {
  std::vector<std::string> models;
  /// One of the two: the same lengths for every model, or iso-FLOP profiles: for each compute
  /// budget every model, trained for as long as the budget lasts.
  std::optional<LogRange> samples_seen;
  std::optional<LogRange> compute_gmacs;  ///< forward GMACs of one run
  int64_t least_samples = 1;              ///< pairs that would be shorter are left out …
  int64_t most_samples = std::numeric_limits<int64_t>::max();  ///< … or longer
  /// Forward GMACs of all grid runs together; the most expensive ones are left out.
  std::optional<double> budget_gmacs;
  /// Present: one trunk a model at constant rate, and for every length a branch that leaves it for
  /// this last share of its samples and cools down.
  std::optional<double> cooldown_share;
};

struct GeneratedPoint {
  std::string model;
  int64_t samples_seen = 0;
};

/// Reads `generate` at `pointer`; nothing, and problems, when it is wrong.
[[nodiscard]] std::optional<GridGenerator> ReadGridGenerator(const FieldReader& reader,
                                                             const Json& json,
                                                             const std::string& pointer);

/// The pairs, by model and then ascending samples.
[[nodiscard]] std::vector<GeneratedPoint> GeneratePoints(const GridGenerator& generator,
                                                         const Catalog& catalog);

}  // namespace sweep
