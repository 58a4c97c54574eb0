#include "orchestrator/cli/fit_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "core/cores.h"
#include "core/failure.h"
#include "db/store.h"

namespace sweep {
namespace {

constexpr const char* kRunsWithoutResult =
    "SELECT sweep_runs.curve, sweep_runs.model, runs.state, count(DISTINCT runs.run_id) "
    "FROM sweep_runs JOIN runs USING (run_id) "
    "WHERE runs.state IN ('failed', 'diverged', 'cancelled') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

double ReadNumber(const std::string& text, const std::string& option) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end) return value;
  throw Failure(FailureCode::kUsage, fmt::format("{}: '{}' is not a number", option, text));
}

std::map<std::string, double> ReadNumbers(const std::vector<std::string>& words,
                                          const std::string& option) {
  std::map<std::string, double> numbers;
  for (const std::string& word : words) {
    for (const auto& [name, value] : ParseAssignments(word, option))
      numbers[name] = ReadNumber(value, fmt::format("{} {}", option, name));
  }
  return numbers;
}

std::map<std::string, Bounds> ReadBounds(const std::vector<std::string>& words) {
  std::map<std::string, Bounds> bounds;
  for (const std::string& word : words) {
    for (const auto& [name, value] : ParseAssignments(word, "--bounds")) {
      const std::size_t colon = value.find(':');
      if (colon == std::string::npos) {
        throw Failure(FailureCode::kUsage, fmt::format("--bounds {}: expected LOW:HIGH", word));
      }
      Bounds range;
      const std::string option = "--bounds " + name;
      if (colon > 0) range.lower = ReadNumber(value.substr(0, colon), option);
      if (colon + 1 < value.size()) range.upper = ReadNumber(value.substr(colon + 1), option);
      bounds[name] = range;
    }
  }
  return bounds;
}

void ReadStarts(const FitWords& words, FitOptions& options) {
  options.grid = words.starts == "grid";
  if (options.grid || words.starts.empty()) return;
  const double count = ReadNumber(words.starts, "--starts");
  if (!(count >= 1 && count <= 1e7)) {
    throw Failure(FailureCode::kUsage, "--starts: expected grid or a number from 1 to 10000000");
  }
  options.starts = static_cast<std::size_t>(count);
}

// What --map has to provide. With `auto` every variable it names is welcome; the default is one
// axis, compute.
Law LawToMap(const FitWords& words) {
  if (words.law != "auto") return FindLaw(words.law);
  Law any = FindLaw("power");
  if (!words.query.map.empty()) any.variables.clear();
  return any;
}

}  // namespace

void AddFitWords(CLI::App& command, FitWords& words) {
  PointQuery& query = words.query;
  command.add_option("--table", words.table, "CSV file with the points (default: the store's)");
  command.add_option("--law", words.law, "Law to fit (`sweep laws` lists them), or auto")
      ->capture_default_str();
  command
      .add_option("--map",
                  query.map,
                  "Variables and observable as columns or expressions: C=flops,E='err/100'")
      ->join(',');
  command.add_option("--where", query.where, "Keep rows where this holds; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--by", query.by, "Columns that make a group, one fit each")->delimiter(',');
  command.add_option("--curve", query.curve, "Only rows of this curve");
  command.add_option("--metric", query.metric, "Only rows of this metric");
  command.add_option("--kind",
                     query.kind,
                     "Kind of points: final, cooldown, trunk, intermediate or all (default: final "
                     "or cooldown, whichever are more)");
  command.add_option(
      "--select",
      words.select,
      "all, pareto, binned:5 or quantile:0.1:5 (default: all; compare: the curve's own recipe)");
  command.add_option("--residual", words.residual, "log or linear (default: the law's own)");
  command.add_option("--loss", words.loss, "squared, huber:1e-3, lad, cauchy:c or tukey:c")
      ->capture_default_str();
  command.add_option("--weights",
                     query.weights,
                     "Column or expression with the points' weights, or binomial (errors by "
                     "sample_size), or seed_variance");
  command.add_option("--sample-size",
                     query.sample_size,
                     "Column with the evaluation's sample size (default: sample_size)");
  command
      .add_option(
          "--seeds",
          words.seeds,
          "pooled: every run is a point; random: runs of one design are one, as a random effect")
      ->capture_default_str();
  command.add_option(
      "--chance",
      words.chance,
      "Observable at chance level (0.999 for 1000 classes): points there are left out");
  command
      .add_option("--covariates",
                  query.covariates,
                  "Settings to check for a correlation with compute (default: learning rate, batch "
                  "size and the like, where there are such columns)")
      ->delimiter(',');
  command.add_option("--cluster",
                     query.cluster,
                     "Column that names what repeats, for bootstrap:N:stratified and :cluster");
  command.add_option("--const", words.constants, "Constants of the law: T0=197")
      ->allow_extra_args(false);
  command.add_option("--fix", words.fix, "Parameters to hold: d=0")->allow_extra_args(false);
  command.add_option("--bounds", words.bounds, "Ranges of parameters: alpha=0:2")
      ->allow_extra_args(false);
  command
      .add_option("--start",
                  words.start,
                  "A starting point (and departures from it) instead of a search: alpha=0.3")
      ->allow_extra_args(false);
  command.add_option("--starts", words.starts, "Number of starting points, or grid");
  command.add_flag("--finish-all", words.finish_all, "Finish every start instead of racing them");
  command.add_option("--seed", words.seed, "Of starts and resamples")->capture_default_str();
  command
      .add_option(
          "--intervals",
          words.intervals,
          "auto, t, profile, delta, bootstrap:1000[:residual|stratified|cluster|bca] or none")
      ->capture_default_str();
  command.add_option("--level", words.level, "Of the intervals")->capture_default_str();
  command.add_option(
      "--threads", words.threads, "Threads (default: one a core); results do not depend on it");
}

FitOptions ReadFitWords(const FitWords& words) {
  FitOptions options;
  options.law = words.law;
  if (!words.select.empty()) options.select = ParseSelection(words.select);
  if (!words.residual.empty()) options.residual = ParseResidual(words.residual);
  options.loss = ParseLoss(words.loss);
  options.weighting = FindWeighting(words.query.weights).value_or(Weighting::kGiven);
  options.seeds = ParseSeeds(words.seeds);
  options.chance = words.chance;
  options.fix = ReadNumbers(words.fix, "--fix");
  options.bounds = ReadBounds(words.bounds);
  options.constants = ReadNumbers(words.constants, "--const");
  options.start = ReadNumbers(words.start, "--start");
  ReadStarts(words, options);
  options.race = !words.finish_all;
  options.seed = words.seed;
  options.intervals = ParseIntervals(words.intervals);
  options.level = words.level;
  options.targets = words.targets;
  if (!(options.level > 0 && options.level < 1)) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--level {}: expected a number between 0 and 1", words.level));
  }
  options.threads = words.threads > 0 ? words.threads : static_cast<int>(UsableCores());
  return options;
}

Table LoadRows(const GlobalOptions& global, const FitWords& words) {
  if (!words.table.empty()) return ReadCsv(words.table);
  if (!Store::Exists(global.store)) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("there is no store {}: run a sweep first, or name a file with --table",
                    global.store));
  }
  Table table;
  const Store store(global.store, Store::Access::kRead);
  static_cast<QueryTable&>(table) = store.Points();
  for (const auto& row : store.Query(kRunsWithoutResult).rows) {
    std::string& text = table.holes[row[0]];
    text += fmt::format("{}{} {} of {}", text.empty() ? "" : ", ", row[3], row[2], row[1]);
  }
  table.origin = "the store " + global.store;
  for (std::size_t r = 0; r < table.rows.size(); ++r)
    table.labels.push_back(fmt::format("point {}", r + 1));
  NameRows(table);
  return table;
}

FittedGroups FitGroups(const Table& table, const FitWords& words) {
  const FitOptions options = ReadFitWords(words);
  FittedGroups fitted;
  fitted.groups = MakeGroups(table, words.query, LawToMap(words));
  if (fitted.groups.empty()) {
    throw Failure(
        FailureCode::kData,
        fmt::format("of the {} rows of {} none is left by --curve, --metric, --kind and --where",
                    table.rows.size(),
                    table.origin));
  }
  std::vector<PointTable> tables;
  for (const PointGroup& group : fitted.groups) tables.push_back(group.points);
  fitted.outcomes = FitAll(tables, options);
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    if (fitted.outcomes[g].report) TellOfGroup(fitted.groups[g], *fitted.outcomes[g].report);
  }
  return fitted;
}

std::string GroupName(const Json& group) {
  std::string name;
  for (const auto& [column, value] : group.items()) {
    name += fmt::format("{}{} {}", name.empty() ? "" : ", ", column, value.get<std::string>());
  }
  return name.empty() ? "all points" : name;
}

}  // namespace sweep
