#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "core/failure.h"
#include "core/output.h"
#include "db/lease.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/point_kind.h"
#include "orchestrator/progress.h"
#include "orchestrator/run_grid.h"
#include "orchestrator/sweep_cost.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct StatusOptions {
  std::string sweep;
  bool list_runs = false;
};

// The spec, which is long, of runs that may still cost something alone.
constexpr const char* kRunsOfSweep =
    "SELECT sweeps.name AS sweep, sweeps.sweep_id, runs.run_id, sweep_runs.model, "
    "sweep_runs.dataset, "
    "runs.samples_seen, runs.seed, runs.compute_gmacs, runs.state, runs.failure_class, "
    "runs.message, "
    "runs.final_loss, runs.train_seconds, runs.gmacs_per_sample, "
    "CASE WHEN state IN ('planned', 'submitting', 'queued', 'running') THEN runs.spec END AS spec, "
    "(SELECT predicted_seconds FROM attempts WHERE attempts.run_id = runs.run_id "
    "AND predicted_seconds IS NOT NULL ORDER BY attempt LIMIT 1) AS predicted_seconds, "
    "(SELECT max(attempt) FROM attempts WHERE attempts.run_id = runs.run_id) AS attempts, "
    "(SELECT count(*) FROM evaluations WHERE evaluations.run_id = runs.run_id) AS evaluations "
    "FROM sweep_runs JOIN sweeps USING (sweep_id) JOIN runs USING (run_id) "
    "WHERE sweeps.sweep_id = ?1 ORDER BY sweep_runs.position";

constexpr const char* kSweeps =
    "SELECT sweep_id, name, (SELECT sum(runs) FROM sweep_cells WHERE sweep_cells.sweep_id = "
    "sweeps.sweep_id) AS runs FROM sweeps "
    "WHERE ?1 = '' OR name = ?1 OR sweep_id LIKE ?1 || '%' ORDER BY added_at";

// Sweeps of more runs are told as a whole: nobody reads that many rows.
constexpr int64_t kMostRunsListed = 1000;
constexpr const char* kMostMessages = "20";

struct SweepSummary {
  std::string id;
  std::string name;
  std::map<std::string, int64_t> runs_by_state;
  double compute_total = 0;
  double compute_done = 0;
  double train_seconds = 0;
  Json runs = Json::array();
  std::vector<RunSpending> spending;
  std::vector<GridRun> grid;
  SweepCost cost;
  Json fits = Json::array();
  double fitted_at = 0;  // Unix time, where there are fits
};

// Moves the spec, which is for us alone, out of the row.
RunSpending SpendingOf(Json& run) {
  RunSpending spending;
  spending.run_id = run.at("run_id");
  if (!run.at("spec").is_null())
    spending.spec = ParseRunSpec(Json::parse(run.at("spec").get<std::string>()), "the store");
  spending.state = ParseRunState(run.at("state").get<std::string>());
  spending.train_seconds = run.at("train_seconds");
  if (!run.at("predicted_seconds").is_null())
    spending.predicted_seconds = run.at("predicted_seconds").get<double>();
  run.erase("spec");
  return spending;
}

// Its name and its latest fits, as `sweep run` left them.
SweepSummary Begin(const Store& store, const Json& sweep_row) {
  SweepSummary sweep;
  sweep.id = sweep_row.at("sweep_id");
  sweep.name = sweep_row.at("name");
  const QueryTable fits = store.Query(
      "SELECT report, made_at FROM fits WHERE sweep_id = ?1 ORDER BY rowid", {sweep.id});
  for (const auto& row : fits.rows) {
    sweep.fits.push_back(Json::parse(row[0]));
    sweep.fitted_at = std::stod(row[1]);
  }
  return sweep;
}

SweepSummary Summarise(const Store& store, const Json& sweep_row) {
  SweepSummary sweep = Begin(store, sweep_row);
  Json rows = TableToJson(store.Query(kRunsOfSweep, {sweep.id}));
  for (Json& run : rows) {
    const std::string state = run.at("state");
    const double compute = run.at("compute_gmacs");
    ++sweep.runs_by_state[state];
    sweep.compute_total += compute;
    if (state == "completed") sweep.compute_done += compute;
    sweep.train_seconds += run.at("train_seconds").get<double>();
    sweep.spending.push_back(SpendingOf(run));
    sweep.grid.push_back({CellText(run.at("model")),
                          run.at("gmacs_per_sample"),
                          run.at("samples_seen"),
                          ParseRunState(state)});
    sweep.runs.push_back(std::move(run));
  }
  sweep.cost = CostSoFar(store, sweep.spending);
  return sweep;
}

// The same of many runs, without any of them.
SweepSummary SummariseCells(const Store& store, const Json& sweep_row) {
  SweepSummary sweep = Begin(store, sweep_row);
  const Json cells =
      TableToJson(store.Query("SELECT * FROM sweep_cells WHERE sweep_id = ?1", {sweep.id}));
  for (const Json& cell : cells) {
    const std::string state = cell.at("state");
    const double compute = cell.at("compute_gmacs");
    sweep.runs_by_state[state] += cell.at("runs").get<int64_t>();
    sweep.compute_total += compute;
    if (state == "completed") sweep.compute_done += compute;
    sweep.train_seconds += cell.at("train_seconds").get<double>();
    sweep.grid.push_back({CellText(cell.at("model")),
                          cell.at("gmacs_per_sample"),
                          cell.at("samples_seen"),
                          ParseRunState(state),
                          cell.at("runs")});
  }
  return sweep;
}

void PrintCost(const SweepCost& cost) {
  Print("cost so far: {}", SpentText(cost));
  if (const std::string took = TookText(cost.completed); !took.empty()) Print("; {}", took);
  if (cost.hours_left.high > 0) {
    Print("\nleft: {:.3g} {} ({:.3g} to {:.3g})",
          cost.hours_left.middle,
          cost.unit,
          cost.hours_left.low,
          cost.hours_left.high);
    if (cost.seconds_left) {
      Print(", {} ({} to {}) with {} at work",
            HumanSeconds(cost.seconds_left->middle),
            HumanSeconds(cost.seconds_left->low),
            HumanSeconds(cost.seconds_left->high),
            cost.at_work);
    }
  }
  Print("\n");
}

Json CostJson(const SweepCost& cost) {
  Json json = {{"gpu_hours", cost.gpu_hours},
               {"core_hours", cost.core_hours},
               {"predicted_seconds", cost.completed.predicted_seconds},
               {"actual_seconds", cost.completed.actual_seconds},
               {"unit_left", cost.unit},
               {"hours_left", FieldsToJson(cost.hours_left)},
               {"at_work", cost.at_work}};
  if (cost.seconds_left) json["seconds_left"] = FieldsToJson(*cost.seconds_left);
  return json;
}

// "fashion_scenes fashion_items acc1: power, 7 points: alpha = -0.15 [-0.17, -0.13], …".
std::string FitLine(const Json& fit) {
  std::string line;
  for (const char* column : {"curve", "eval_dataset", "metric"}) {
    if (fit.at("group").contains(column))
      line += fit.at("group").at(column).get<std::string>() + " ";
  }
  line += fmt::format(
      "{}, {} points:", fit.at("law").get<std::string>(), fit.at("n").get<std::size_t>());
  for (const auto& [name, estimate] : fit.at("estimates").items()) {
    line += fmt::format(" {} = {:.4g}", name, estimate.at("value").get<double>());
    if (!estimate.at("low").is_null() && !estimate.at("high").is_null()) {
      line += fmt::format(
          " [{:.4g}, {:.4g}]", estimate.at("low").get<double>(), estimate.at("high").get<double>());
    }
    line += ";";
  }
  line.pop_back();
  const auto left_out = fit.value("kinds_left_out", KindCounts());
  if (!left_out.empty())
    line += fmt::format(
        " (of kind {}; left out: {})", fit.at("kind").get<std::string>(), KindCountsText(left_out));
  return line;
}

void PrintFits(const SweepSummary& sweep) {
  if (sweep.fits.empty()) return;
  Print("laws, {} ago:\n", HumanSeconds(UnixTime() - sweep.fitted_at));
  for (const Json& fit : sweep.fits) Print("  {}\n", FitLine(fit));
}

void PrintRuns(const SweepSummary& sweep) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& run : sweep.runs) {
    std::string state = run.at("state");
    if (const std::string failure = CellText(run.at("failure_class")); !failure.empty()) {
      state += " (" + failure + ")";
    }
    const Json& loss = run.at("final_loss");
    rows.push_back({run.at("run_id").get<std::string>().substr(0, 8),
                    CellText(run.at("model")),
                    CellText(run.at("dataset")),
                    HumanCount(run.at("samples_seen").get<double>()),
                    run.at("seed").dump(),
                    fmt::format("{:.4g}", run.at("compute_gmacs").get<double>()),
                    state,
                    CellText(run.at("attempts"), "0"),
                    run.at("evaluations").dump(),
                    loss.is_null() ? "-" : fmt::format("{:.3f}", loss.get<double>()),
                    HumanSeconds(run.at("train_seconds").get<double>()),
                    run.at("predicted_seconds").is_null()
                        ? "-"
                        : HumanSeconds(run.at("predicted_seconds").get<double>())});
  }
  Print("{}\n",
        FormatTable({"run",
                     "model",
                     "dataset",
                     "samples_seen",
                     "seed",
                     "compute_gmacs",
                     "state",
                     "attempts",
                     "evaluations",
                     "final_loss",
                     "trained",
                     "predicted"},
                    rows));
}

void PrintTotals(const SweepSummary& sweep) {
  Print("{}\n", FormatRunGrid(sweep.grid, WantsColour(stdout)));
  std::string counts;
  for (const auto& [state, count] : sweep.runs_by_state) {
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, state);
  }
  Print("{}; {:.1f}% of compute done, {} of training\n",
        counts,
        sweep.compute_total > 0 ? 100 * sweep.compute_done / sweep.compute_total : 100.0,
        HumanSeconds(sweep.train_seconds));
}

void PrintMessage(const Json& run) {
  const std::string message = CellText(run.at("message"));
  if (!message.empty())
    Print("  {}: {}\n", run.at("run_id").get<std::string>().substr(0, 8), message);
}

void PrintSweep(const SweepSummary& sweep) {
  Print("sweep {} ({})\n\n", sweep.name, sweep.id.substr(0, 8));
  PrintRuns(sweep);
  PrintTotals(sweep);
  PrintCost(sweep.cost);
  PrintFits(sweep);
  for (const Json& run : sweep.runs) PrintMessage(run);
}

void PrintOverview(const Store& store, const SweepSummary& sweep) {
  Print("sweep {} ({})\n\n", sweep.name, sweep.id.substr(0, 8));
  PrintTotals(sweep);
  PrintFits(sweep);
  const Json troubled = TableToJson(
      store.Query("SELECT run_id, message FROM runs WHERE message <> '' AND EXISTS (SELECT 1 FROM "
                  "sweep_runs WHERE sweep_runs.run_id = runs.run_id AND sweep_id = ?1) LIMIT ?2",
                  {sweep.id, kMostMessages}));
  for (const Json& run : troubled) PrintMessage(run);
  Print("`sweep status --runs` lists every run and tells the cost\n");
}

bool IsTooLongToList(const Json& sweep_row) {
  return !sweep_row.at("runs").is_null() && sweep_row.at("runs").get<int64_t>() > kMostRunsListed;
}

Json SummaryJson(SweepSummary sweep) {
  return {{"sweep_id", sweep.id},
          {"name", sweep.name},
          {"runs_by_state", sweep.runs_by_state},
          {"compute_gmacs_total", sweep.compute_total},
          {"compute_gmacs_completed", sweep.compute_done},
          {"train_seconds", sweep.train_seconds},
          {"cost", CostJson(sweep.cost)},
          {"fits", std::move(sweep.fits)},
          {"runs", std::move(sweep.runs)}};
}

// Runs that were at work when `sweep` was killed are so until the next one looks after them.
void PrintLeftBehind(const Store& store) {
  const auto open = store.OpenAttempts();
  const auto left = std::count_if(
      open.begin(), open.end(), [](const OpenAttempt& attempt) { return attempt.job.empty(); });
  if (left == 0) return;
  Print(
      "nobody works on {} now: its last `sweep run` ended without a word, and the next one takes "
      "{} "
      "attempt{} up from the newest checkpoint\n",
      store.root().string(),
      left,
      left == 1 ? "" : "s");
}

int Status(const GlobalOptions& global, const StatusOptions& options) {
  const std::optional<std::string> holder = LeaseHolder(global.store);  // before its last words
  const Store store(global.store, Store::Access::kRead);
  const Json sweeps = TableToJson(store.Query(kSweeps, {options.sweep}));
  if (sweeps.empty() && !options.sweep.empty()) {
    throw Failure(FailureCode::kData,
                  fmt::format("the store {} has no sweep '{}'", global.store, options.sweep));
  }
  if (global.json) {
    Json list = Json::array();
    for (const Json& sweep : sweeps) list.push_back(SummaryJson(Summarise(store, sweep)));
    const Json document = {{"schema", "sweep.status/1"},
                           {"held_by", holder ? Json(*holder) : Json()},
                           {"sweeps", std::move(list)}};
    Print("{}\n", document.dump(1));
    return 0;
  }
  if (sweeps.empty()) Print("no sweep has been run in {}\n", global.store);
  for (const Json& sweep : sweeps) {
    if (IsTooLongToList(sweep) && !options.list_runs) {
      PrintOverview(store, SummariseCells(store, sweep));
    } else {
      PrintSweep(Summarise(store, sweep));
    }
  }
  if (!holder) PrintLeftBehind(store);
  return 0;
}

}  // namespace

void AddStatusCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* command = app.add_subcommand(
      "status",
      "What has run, what is running, what failed and why; what it cost and what is left");
  command->footer(
      "Example:\n"
      "  sweep status\n"
      "  sweep status quickstart --json\n"
      "The grid has a symbol for each run. What is left is training alone, at the rates measured "
      "so far.");
  command->add_option("sweep", options->sweep, "Name or id of one sweep (default: all)");
  command->add_flag("--runs",
                    options->list_runs,
                    fmt::format("List the runs and the cost of sweeps of more than {} runs too",
                                kMostRunsListed));
  command->callback([&global, &action, options] {
    action = [&global, options] { return Status(global, *options); };
  });
}

}  // namespace sweep
