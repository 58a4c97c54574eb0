#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>

#include "core/output.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/explain.h"
#include "orchestrator/find_run.h"
#include "orchestrator/progress.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct ExplainOptions {
  std::string run;
};

constexpr const char* kLabels =
    "SELECT sweeps.name AS sweep, model, dataset, curve, coordinates FROM sweep_runs "
    "JOIN sweeps USING (sweep_id) WHERE run_id = ?1 ORDER BY added_at";
constexpr const char* kAttempts =
    "SELECT attempt, executor, host, job, started_at, ended_at, outcome, exit_code, signal, "
    "failure_class, message, predicted_seconds, provenance FROM attempts WHERE run_id = ?1 "
    "ORDER BY attempt";
constexpr const char* kTransitions =
    "SELECT at, from_state, to_state, reason FROM transitions WHERE run_id = ?1 "
    "ORDER BY transition_id";

struct Explanation {
  std::string run_id;
  RunState state = RunState::kPlanned;
  std::string why;
  QueryTable labels, attempts, transitions;
  std::optional<Sibling> sibling;
};

Explanation Explain(const Store& store, const std::string& beginning) {
  Explanation e;
  e.run_id = FindRunId(store, beginning);
  e.state = store.FindRun(e.run_id)->state;
  e.why = WhyInState(store, e.run_id);
  e.labels = store.Query(kLabels, {e.run_id});
  e.attempts = store.Query(kAttempts, {e.run_id});
  e.transitions = store.Query(kTransitions, {e.run_id});
  e.sibling = NearestSibling(store, e.run_id);
  return e;
}

std::string TimeText(double unix_time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(unix_time)));
}

std::string EndText(const Json& attempt) {
  if (!attempt.at("signal").is_null()) return "signal " + attempt.at("signal").dump();
  return attempt.at("exit_code").is_null() ? "" : "exit code " + attempt.at("exit_code").dump();
}

void PrintAttempts(const QueryTable& table) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& attempt : TableToJson(table)) {
    const Json& ended = attempt.at("ended_at");
    const double started = attempt.at("started_at");
    rows.push_back({attempt.at("attempt").dump(),
                    CellText(attempt.at("job"), CellText(attempt.at("host"))),
                    TimeText(started),
                    ended.is_null() ? "-" : HumanSeconds(ended.get<double>() - started),
                    CellText(attempt.at("outcome"), "at work"),
                    EndText(attempt),
                    CellText(attempt.at("message"))});
  }
  if (rows.empty()) return;
  Print("\n{}", FormatTable({"attempt", "where", "started", "took", "outcome", "end", ""}, rows));
}

void PrintTransitions(const QueryTable& table) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& change : TableToJson(table)) {
    rows.push_back({TimeText(change.at("at")),
                    CellText(change.at("from_state")),
                    CellText(change.at("to_state")),
                    CellText(change.at("reason"))});
  }
  if (rows.empty()) return;
  Print("\n{}", FormatTable({"when", "from", "to", "because"}, rows));
}

void PrintSibling(const Sibling& sibling) {
  Print("\nnearest to it is run {}; from this run to that one:\n", sibling.run_id);
  for (const SpecDifference& d : sibling.differences)
    Print("  {}: {} -> {}\n", d.field.substr(1), d.ours, d.theirs);
}

// What people tell runs apart by; --json has every coordinate.
void PrintLabel(const Json& label) {
  const Json coordinates = Json::parse(label.at("coordinates").get<std::string>());
  Print("of sweep {}: model {}, dataset {}, curve {}",
        CellText(label.at("sweep")),
        CellText(label.at("model")),
        CellText(label.at("dataset")),
        CellText(label.at("curve")));
  for (const char* name :
       {"data_scale", "samples_seen", "global_batch_size", "learning_rate", "schedule", "seed"}) {
    const auto found = coordinates.find(name);
    if (found != coordinates.end() && !found->is_null()) Print(", {} {}", name, CellText(*found));
  }
  Print("\n");
}

void Show(const Explanation& e) {
  Print("run {}: {}\n", e.run_id, ToString(e.state));
  for (const Json& label : TableToJson(e.labels)) PrintLabel(label);
  Print("{}\n", e.why);
  PrintAttempts(e.attempts);
  PrintTransitions(e.transitions);
  if (e.sibling) PrintSibling(*e.sibling);
}

Json ToJson(const Explanation& e) {
  Json attempts = TableToJson(e.attempts);
  for (Json& attempt : attempts)
    attempt["provenance"] = Json::parse(attempt.at("provenance").get<std::string>());
  Json json = {{"schema", "sweep.explain/1"},
               {"run_id", e.run_id},
               {"state", ToString(e.state)},
               {"why", e.why},
               {"sweeps", TableToJson(e.labels)},
               {"attempts", attempts},
               {"transitions", TableToJson(e.transitions)}};
  if (e.sibling) {
    Json differences = Json::array();
    for (const SpecDifference& d : e.sibling->differences)
      differences.push_back({{"field", d.field}, {"ours", d.ours}, {"theirs", d.theirs}});
    json["nearest"] = {{"run_id", e.sibling->run_id}, {"differences", differences}};
  }
  return json;
}

}  // namespace

void AddExplainCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = app.add_subcommand(
      "explain",
      "Why a run ran, ran again, waits or failed, and what tells it from the run nearest to it");
  command->footer("Example:\n  sweep explain 3ec45cd2\n  sweep explain 3ec45cd2 --json");
  command->add_option("run", options->run, "Id of a run, or how it begins")->required();
  command->callback([&global, &action, options] {
    action = [&global, options] {
      const Explanation explanation =
          Explain(Store(global.store, Store::Access::kRead), options->run);
      if (global.json) {
        Print("{}\n", ToJson(explanation).dump(1));
      } else {
        Show(explanation);
      }
      return 0;
    };
  });
}

}  // namespace sweep
