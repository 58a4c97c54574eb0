#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace sweep {

/// Forecasts are files of the store, each named by the SHA-256 of its own bytes:
///
///     STORE/forecasts/SEAL.json           sweep.forecast/1: points, law, options, target, interval
///     STORE/forecasts/scores/HASH.json    sweep.forecast_score/1: a seal, what was measured, hit
///     or miss
///
/// A changed byte shows, because the name no longer fits. Each forecast lists the seals that were
/// there before it, so that one taken away shows as well.
class ForecastArchive {
 public:
  explicit ForecastArchive(const std::filesystem::path& store);

  /// Publishes a forecast ("schema", "earlier" and "sealed_at" are filled in) and returns its seal.
  [[nodiscard]] std::string Seal(Json forecast) const;
  /// Publishes a score of `seal`.
  void Score(const std::string& seal, Json score) const;

  struct Entry {
    std::string seal;
    bool changed = false;            ///< its bytes are not those that were sealed
    bool missing = false;            ///< a later forecast knows it, its file is gone
    Json forecast;                   ///< null when changed or missing
    std::optional<Json> score = {};  ///< an unchanged one
    bool score_changed = false;
  };
  /// All of them, oldest first.
  [[nodiscard]] std::vector<Entry> Read() const;

 private:
  std::filesystem::path folder_;
};

/// Of the scored ones: how many intervals held what came, and between which shares the true
/// coverage lies (Clopper and Pearson 1934, 95 %).
struct ForecastRecord {
  std::size_t scored = 0;
  std::size_t hits = 0;
  double nominal = 0;  ///< mean level of the scored intervals
  double low = 0, high = 1;
  double mean_log_error = 0;  ///< of predicted over measured
};
[[nodiscard]] ForecastRecord RecordOf(const std::vector<ForecastArchive::Entry>& entries);

}  // namespace sweep
