#include "orchestrator/forecast.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "db/store_layout.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

double Now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

// The files of a folder whose names are the hashes of their bytes, and those where they are not.
struct Sealed {
  std::string hash;
  std::string bytes;
  bool changed;
};

std::vector<Sealed> ReadSealed(const std::filesystem::path& folder) {
  std::vector<Sealed> files;
  for (const auto& path : ListFolder(folder)) {
    if (path.extension() != ".json" || !std::filesystem::is_regular_file(path)) continue;
    Sealed file{.hash = path.stem().string(), .bytes = ReadFile(path), .changed = false};
    file.changed = Sha256Hex(file.bytes) != file.hash;
    files.push_back(std::move(file));
  }
  std::sort(
      files.begin(), files.end(), [](const Sealed& a, const Sealed& b) { return a.hash < b.hash; });
  return files;
}

bool AreStrings(const Json& list) {
  return list.is_array() && std::all_of(list.begin(), list.end(), [](const Json& element) {
           return element.is_string();
         });
}

bool HasNumber(const Json& object, const char* name) {
  return object.contains(name) && object.at(name).is_number();
}

bool HasNumbers(const Json& object) {
  return object.is_object() && std::all_of(object.begin(), object.end(), [](const Json& member) {
           return member.is_number();
         });
}

bool HasPrediction(const Json& forecast) {
  const Json p = forecast.value("prediction", Json());
  return p.is_object() && HasNumber(p, "value") && HasNumber(p, "low") && HasNumber(p, "high");
}

bool HasTime(const Json& object, const char* name) {
  constexpr double kLatest = 1e11;  // seconds, in the year 5138: what a calendar can show
  return HasNumber(object, name) && object.at(name) >= 0 && object.at(name) < kLatest;
}

// A right hash says that nobody changed the file, not that `sweep` wrote it. Null for what is no
// forecast, or no score.
Json SealedForecast(const Sealed& file) {
  try {
    Json forecast = ParseJson(file.bytes, file.hash);
    const bool whole =
        forecast.is_object() && AreStrings(forecast.value("earlier", Json())) &&
        HasTime(forecast, "sealed_at") && HasNumber(forecast, "level") && HasPrediction(forecast) &&
        HasNumbers(forecast.value("target", Json())) &&
        forecast.value("name", Json()).is_string() && forecast.value("fit", Json()).is_object();
    return whole ? forecast : Json();
  } catch (const Malformed&) {
    return {};
  }
}

Json SealedScore(const Sealed& file) {
  try {
    Json score = ParseJson(file.bytes, file.hash);
    const bool whole = score.is_object() && score.contains("seal") &&
                       score.at("seal").is_string() && HasNumber(score, "scored_at") &&
                       HasNumber(score, "measured") && score.contains("hit") &&
                       score.at("hit").is_boolean();
    return whole ? score : Json();
  } catch (const Malformed&) {
    return {};
  }
}

std::string Publish(const std::filesystem::path& folder, const Json& content) {
  const std::string bytes = content.dump(1) + "\n";
  const std::string hash = Sha256Hex(bytes);
  MakeDirectories(folder);
  (void)PublishFileOnce(folder / (hash + ".json"), bytes);
  return hash;
}

// The share s at which P(X >= k) or P(X <= k) of n trials has half of 5 %.
double BetaBound(double p, double a, double b) {
  double low = 0, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    (IncompleteBeta(a, b, middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace

ForecastArchive::ForecastArchive(const std::filesystem::path& store)
    : folder_(store / "forecasts") {}

std::string ForecastArchive::Seal(Json forecast) const {
  RequireOwnLayout(folder_.parent_path());
  forecast["schema"] = "sweep.forecast/1";
  forecast["sealed_at"] = Now();
  forecast["earlier"] = Json::array();
  for (const Entry& entry : Read()) forecast["earlier"].push_back(entry.seal);
  return Publish(folder_, forecast);
}

void ForecastArchive::Score(const std::string& seal, Json score) const {
  RequireOwnLayout(folder_.parent_path());
  score["schema"] = "sweep.forecast_score/1";
  score["seal"] = seal;
  score["scored_at"] = Now();
  (void)Publish(folder_ / "scores", score);
}

std::vector<ForecastArchive::Entry> ForecastArchive::Read() const {
  std::map<std::string, Entry> entries;
  std::set<std::string> known;
  for (const Sealed& file : ReadSealed(folder_)) {
    Entry entry{.seal = file.hash, .changed = file.changed, .forecast = nullptr};
    if (!file.changed) {
      entry.forecast = SealedForecast(file);
      entry.changed = entry.forecast.is_null();
    }
    if (!entry.changed) {
      for (const Json& earlier : entry.forecast.at("earlier"))
        known.insert(earlier.get<std::string>());
    }
    entries.emplace(file.hash, std::move(entry));
  }
  for (const std::string& seal : known) {
    if (!entries.contains(seal))
      entries.emplace(seal, Entry{.seal = seal, .missing = true, .forecast = nullptr});
  }
  for (const Sealed& file : ReadSealed(folder_ / "scores")) {
    const Json score = SealedScore(file);
    if (score.is_null()) continue;
    const auto entry = entries.find(score.at("seal").get<std::string>());
    if (entry == entries.end()) continue;
    if (file.changed) {
      entry->second.score_changed = true;
    } else if (!entry->second.score ||
               score.at("scored_at") < entry->second.score->at("scored_at")) {
      entry->second.score = score;
    }
  }
  std::vector<Entry> sorted;
  sorted.reserve(entries.size());
  for (auto& [seal, entry] : entries) sorted.push_back(std::move(entry));
  const auto sealed_at = [](const Entry& entry) {
    return entry.forecast.is_null() ? 0.0 : entry.forecast.at("sealed_at").get<double>();
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Entry& a, const Entry& b) {
    return sealed_at(a) < sealed_at(b);
  });
  return sorted;
}

ForecastRecord RecordOf(const std::vector<ForecastArchive::Entry>& entries) {
  ForecastRecord record;
  for (const ForecastArchive::Entry& entry : entries) {
    if (!entry.score || entry.forecast.is_null()) continue;
    ++record.scored;
    record.hits += entry.score->at("hit").get<bool>() ? 1U : 0U;
    record.nominal += entry.forecast.at("level").get<double>();
    record.mean_log_error += std::log(entry.forecast.at("prediction").at("value").get<double>() /
                                      entry.score->at("measured").get<double>());
  }
  if (record.scored == 0) return record;
  const auto n = static_cast<double>(record.scored);
  const auto k = static_cast<double>(record.hits);
  record.nominal /= n;
  record.mean_log_error /= n;
  if (record.hits > 0) record.low = BetaBound(0.025, k, n - k + 1);
  if (record.hits < record.scored) record.high = BetaBound(0.975, k + 1, n - k);
  return record;
}

}  // namespace sweep
