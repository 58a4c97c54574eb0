#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "core/failure.h"
#include "core/hash.h"
#include "core/output.h"
#include "fit/predict.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_options.h"
#include "orchestrator/cli/predict_target.h"
#include "orchestrator/forecast.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

using Entry = ForecastArchive::Entry;

struct ForecastWords {
  FitWords fit;
  bool seal = false, score = false, list = false;
  std::string action;  // the same three as a word
  std::vector<std::string> at;
  std::string model, samples;
  std::string name;
  double within = 0.01;
};

// ---- points at a target ----

// How a sealed forecast finds its points again: the words that name variables and groups. Filters
// and kinds stay out, so that nobody overlooks a result by a filter.
Json QueryJson(const PointQuery& query) {
  return {{"map", query.map}, {"by", query.by}, {"curve", query.curve}, {"metric", query.metric}};
}

PointQuery QueryOf(const Json& json) {
  PointQuery query;
  query.map = json.at("map");
  query.by = json.at("by").get<std::vector<std::string>>();
  query.curve = json.at("curve");
  query.metric = json.at("metric");
  query.kind = "all";
  return query;
}

struct Found {
  std::vector<std::string> labels;
  std::vector<double> values;
};

// Measurements of the forecast's group whose variables are the target's, up to a relative
// difference.
Found PointsAt(const Table& table,
               const Json& query,
               const std::string& law,
               const Json& group,
               const std::map<std::string, double>& target,
               double within) {
  Found found;
  Law mapped = FindLaw(law);
  for (const PointGroup& candidate : MakeGroups(table, QueryOf(query), mapped)) {
    if (candidate.group != group) continue;
    const PointTable& points = candidate.points;
    for (std::size_t i = 0; i < points.size(); ++i) {
      bool same = true;
      for (const auto& [variable, value] : target) {
        const std::string name = points.Has(variable) ? variable : variable == "C" ? "x" : "C";
        same = same && std::abs(std::log(points.Column(name)[i] / value)) <= within;
      }
      if (!same || !std::isfinite(points.y[i])) continue;
      found.labels.push_back(points.Label(i));
      found.values.push_back(points.y[i]);
    }
  }
  return found;
}

Found MeasuredAtTarget(const Table& table, const Json& forecast, double within) {
  return PointsAt(table,
                  forecast.at("query"),
                  forecast.at("fit").at("law"),
                  forecast.at("group"),
                  forecast.at("target").get<std::map<std::string, double>>(),
                  within);
}

// ---- sealing ----

std::map<std::string, double> TargetOf(const ForecastWords& words) {
  return ReadOneTarget("forecast --seal", words.at, words.model, words.samples);
}

Json PointsJson(const PointTable& points) {
  Json columns = Json::object();
  for (std::size_t v = 0; v < points.variables.size(); ++v)
    columns[points.variables[v]] = points.columns[v];
  return {{"variables", columns},
          {"observable", points.observable},
          {"y", points.y},
          {"weights", points.weights},
          {"labels", points.labels}};
}

void RefuseKnownResult(const Table& table, const Json& forecast, double within) {
  const Found found = MeasuredAtTarget(table, forecast, within);
  if (found.values.empty()) return;
  throw Failure(
      FailureCode::kData,
      fmt::format("the result exists: {} is measured at {} ({:.6g}); a forecast is sealed "
                  "before that",
                  found.labels.front(),
                  TargetText(forecast.at("target").get<std::map<std::string, double>>()),
                  found.values.front()));
}

Json MakeForecast(const ForecastWords& words, const PointGroup& group, const FitReport& report) {
  const std::map<std::string, double> target = ForLaw(TargetOf(words), report);
  const Prediction prediction = Predict(report, target);
  if (!prediction.low || !prediction.high) {
    throw Failure(FailureCode::kData,
                  "this fit has no interval to seal: more points, or another loss or law");
  }
  const Json points = PointsJson(group.points);
  return {{"name", words.name},
          {"query", QueryJson(words.fit.query)},
          {"where", words.fit.query.where},
          {"group", report.group},
          {"points", points},
          {"points_sha256", Sha256Hex(CanonicalDump(points))},
          {"fit", ToJson(report)},
          {"target", prediction.at},
          {"prediction", ToJson(prediction)},
          {"level", report.level}};
}

int Seal(const GlobalOptions& global, const ForecastWords& words) {
  const Table table = LoadRows(global, words.fit);
  FitWords fit = words.fit;
  fit.targets = {TargetOf(words)};
  const FittedGroups fitted = FitGroups(table, fit);
  if (fitted.groups.size() != 1) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{} groups of points: a forecast is of one; choose with --curve, "
                              "--metric, --where",
                              fitted.groups.size()));
  }
  if (!fitted.outcomes.front().report)
    throw Failure(FailureCode::kData, fitted.outcomes.front().failure);
  Json forecast = MakeForecast(words, fitted.groups.front(), *fitted.outcomes.front().report);
  RefuseKnownResult(table, forecast, words.within);
  const std::string seal = ForecastArchive(global.store).Seal(forecast);
  const Json& p = forecast.at("prediction");
  if (global.json) {
    Print("{}\n",
          Json{{"schema", "sweep.forecast_sealed/1"}, {"seal", seal}, {"forecast", forecast}}.dump(
              1));
  } else {
    Print("{}\nsealed: {} at {}: {:.6g} [{:.6g}, {:.6g}]\n",
          seal,
          forecast.at("fit").at("law").get<std::string>(),
          TargetText(forecast.at("target").get<std::map<std::string, double>>()),
          p.at("value").get<double>(),
          p.at("low").get<double>(),
          p.at("high").get<double>());
  }
  return 0;
}

// ---- scoring ----

// The mean of what was measured at the target, in the fit's residual space.
double MeanOf(const std::vector<double>& values, const std::string& residual) {
  double sum = 0;
  for (const double value : values)
    sum += (residual == "log" ? std::log(value) : value) / static_cast<double>(values.size());
  return residual == "log" ? std::exp(sum) : sum;
}

std::optional<Json> ScoreOf(const Entry& entry, const Table& table, double within) {
  const Json& forecast = entry.forecast;
  const Found found = MeasuredAtTarget(table, forecast, within);
  if (found.values.empty()) return std::nullopt;
  const double measured = MeanOf(found.values, forecast.at("fit").at("residual"));
  const Json& p = forecast.at("prediction");
  return Json{
      {"measured", measured},
      {"points", found.labels},
      {"values", found.values},
      {"hit", p.at("low").get<double>() <= measured && measured <= p.at("high").get<double>()},
      {"predicted_over_measured", p.at("value").get<double>() / measured}};
}

// The forecasts that these rows know nothing of (another table's columns) simply wait.
void ScoreAll(const GlobalOptions& global,
              const ForecastWords& words,
              const ForecastArchive& archive) {
  const Table table = LoadRows(global, words.fit);
  for (const Entry& entry : archive.Read()) {
    if (entry.score || entry.forecast.is_null()) continue;
    try {
      if (const std::optional<Json> score = ScoreOf(entry, table, words.within))
        archive.Score(entry.seal, *score);
    } catch (const Failure& failure) {
      if (failure.code() != FailureCode::kUsage && failure.code() != FailureCode::kData) throw;
    }
  }
}

// ---- listing ----

std::string StateOf(const Entry& entry) {
  if (entry.changed) return "CHANGED";
  if (entry.missing) return "MISSING";
  if (entry.score) return entry.score->at("hit").get<bool>() ? "hit" : "miss";
  return entry.score_changed ? "SCORE CHANGED" : "waiting";
}

bool Broken(const std::vector<Entry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
    return entry.changed || entry.missing || entry.score_changed;
  });
}

void PrintList(const std::vector<Entry>& entries) {
  std::vector<std::vector<std::string>> rows;
  for (const Entry& entry : entries) {
    std::vector<std::string> row = {entry.seal.substr(0, 8), StateOf(entry)};
    if (!entry.forecast.is_null()) {
      const Json& p = entry.forecast.at("prediction");
      const auto sealed_at = static_cast<std::time_t>(entry.forecast.at("sealed_at").get<double>());
      row.push_back(entry.forecast.at("name"));
      row.push_back(fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(sealed_at)));
      row.push_back(TargetText(entry.forecast.at("target").get<std::map<std::string, double>>()));
      row.push_back(fmt::format("{:.5g} [{:.5g}, {:.5g}]",
                                p.at("value").get<double>(),
                                p.at("low").get<double>(),
                                p.at("high").get<double>()));
      row.push_back(entry.score ? fmt::format("{:.5g}", entry.score->at("measured").get<double>())
                                : "");
    }
    row.resize(7);
    rows.push_back(std::move(row));
  }
  Print("{}",
        FormatTable({"seal", "state", "name", "sealed (UTC)", "target", "forecast", "measured"},
                    rows));
}

void PrintRecord(const ForecastRecord& record) {
  if (record.scored == 0) return;
  Print(
      "\n{} of {} intervals held what came: {:.0f} % [{:.0f}, {:.0f}], where {:.0f} % are meant "
      "to; "
      "predicted over measured on average {:.4g}\n",
      record.hits,
      record.scored,
      100.0 * static_cast<double>(record.hits) / static_cast<double>(record.scored),
      100 * record.low,
      100 * record.high,
      100 * record.nominal,
      std::exp(record.mean_log_error));
}

Json ListJson(const std::vector<Entry>& entries, const ForecastRecord& record) {
  Json list = Json::array();
  for (const Entry& entry : entries) {
    list.push_back({{"seal", entry.seal},
                    {"state", StateOf(entry)},
                    {"forecast", entry.forecast},
                    {"score", entry.score ? *entry.score : Json(nullptr)}});
  }
  return {{"schema", "sweep.forecasts/1"},
          {"forecasts", list},
          {"record",
           {{"scored", record.scored},
            {"hits", record.hits},
            {"nominal", record.nominal},
            {"coverage_low", record.low},
            {"coverage_high", record.high},
            {"mean_log_error", record.mean_log_error}}}};
}

int List(const GlobalOptions& global, const ForecastArchive& archive) {
  const std::vector<Entry> entries = archive.Read();
  const ForecastRecord record = RecordOf(entries);
  if (global.json) {
    Print("{}\n", ListJson(entries, record).dump(1));
  } else if (entries.empty()) {
    Print("no forecast is sealed in {}\n", global.store);
  } else {
    PrintList(entries);
    PrintRecord(record);
  }
  if (!Broken(entries)) return 0;
  Tell("sweep: {}/forecasts is not what was sealed: a file was changed or taken away\n",
       global.store);
  return static_cast<int>(FailureCode::kDatabase);
}

int RunForecast(const GlobalOptions& global, const ForecastWords& words) {
  const bool seal = words.seal || words.action == "seal";
  const bool score = words.score || words.action == "score";
  const bool list = words.list || words.action == "list";
  if ((seal ? 1 : 0) + (score ? 1 : 0) + (list ? 1 : 0) != 1)
    throw Failure(FailureCode::kUsage, "forecast takes one of --seal, --score and --list");
  if (seal) return Seal(global, words);
  const ForecastArchive archive(global.store);
  if (score) ScoreAll(global, words, archive);
  return List(global, archive);
}

}  // namespace

void AddForecastCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<ForecastWords>();
  CLI::App* command = app.add_subcommand(
      "forecast", "Predictions sealed before the run, scored when it is done, and their record");
  command->footer(
      "Example:\n"
      "  sweep forecast --seal --curve mine --metric acc1 --model ViT-L-14 --samples 12.8B\n"
      "  sweep forecast --score            after the run: hit or miss, and the record so far\n"
      "  sweep forecast list\n"
      "A forecast is a file of the store named by the hash of its bytes: a changed byte shows.");
  command->add_option("action", words->action, "seal, score or list")
      ->check(CLI::IsMember({"seal", "score", "list"}));
  command->add_flag("--seal", words->seal, "Fit, predict and seal");
  command->add_flag("--score", words->score, "Look for results of sealed forecasts");
  command->add_flag("--list", words->list, "All forecasts and the record of hits");
  AddFitWords(*command, words->fit);
  command->add_option("--at", words->at, "Target, as C=1e12 or N=7e10,D=1.4e12")
      ->allow_extra_args(false);
  command->add_option("--model", words->model, "Target by a named model, with --samples");
  command->add_option("--samples", words->samples, "Samples seen by that model");
  command->add_option("--name", words->name, "Label of the forecast");
  command
      ->add_option("--within", words->within, "How near a measurement's variables are the target's")
      ->capture_default_str();
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunForecast(global, *words); };
  });
}

}  // namespace sweep
