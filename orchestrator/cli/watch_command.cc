#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <memory>
#include <thread>

#include "core/failure.h"
#include "core/output.h"
#include "db/lease.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct WatchOptions {
  std::string sweep;
  double every_seconds = 1;
};

constexpr const char* kEraseLine = "\r\x1b[2K";

constexpr const char* kChanges =
    "SELECT transition_id, at, transitions.run_id, model, dataset, samples_seen, "
    "from_state, to_state, reason FROM transitions JOIN runs USING (run_id) "
    "JOIN sweep_runs USING (run_id) JOIN sweeps USING (sweep_id) "
    "WHERE transition_id > CAST(?1 AS INTEGER) "
    "AND (?2 = '' OR sweeps.name = ?2 OR sweeps.sweep_id LIKE ?2 || '%') "
    "GROUP BY transition_id ORDER BY transition_id";
constexpr const char* kCounts =
    "SELECT state, count(*) AS runs FROM runs WHERE run_id IN (SELECT run_id FROM sweep_runs "
    "JOIN sweeps USING (sweep_id) "
    "WHERE ?1 = '' OR sweeps.name = ?1 OR sweeps.sweep_id LIKE ?1 || '%') "
    "GROUP BY state ORDER BY state";
constexpr const char* kLastChange = "SELECT coalesce(max(transition_id), 0) FROM transitions";

// Reads the store anew each time: on a network file system it is another snapshot each time.
class Watcher {
 public:
  Watcher(const GlobalOptions& global, const WatchOptions& options)
      : global_(global),
        options_(options),
        terminal_(!global.json && ::isatty(STDOUT_FILENO) == 1) {
    const Store store(global_.store, Store::Access::kRead);
    last_ = store.Query(kLastChange).rows.at(0).at(0);
    counts_ = TableToJson(store.Query(kCounts, {options_.sweep}));
    // Whoever has only just taken the store adds its sweep in a moment.
    if (!LeaseHolder(global_.store)) RequireRuns();
  }

  int Run() {
    for (;;) {
      // Asked first: what the holder did before it went is then seen below.
      const bool held = LeaseHolder(global_.store).has_value();
      Look();
      if (!held) break;
      if (terminal_) Print("{}{}", kEraseLine, CountsText());
      FinishOutput();
      std::this_thread::sleep_for(std::chrono::duration<double>(options_.every_seconds));
    }
    return Conclude();
  }

 private:
  void RequireRuns() const {
    if (!counts_.empty()) return;
    throw Failure(
        FailureCode::kData,
        options_.sweep.empty()
            ? fmt::format("the store {} has no runs yet", global_.store)
            : fmt::format("the store {} has no sweep '{}'", global_.store, options_.sweep));
  }

  void Look() {
    const Store store(global_.store, Store::Access::kRead);
    for (const Json& change : TableToJson(store.Query(kChanges, {last_, options_.sweep}))) {
      last_ = change.at("transition_id").dump();
      Show(change);
    }
    counts_ = TableToJson(store.Query(kCounts, {options_.sweep}));
  }

  void Show(const Json& change) const {
    if (global_.json) {
      Print("{}\n", change.dump());
      return;
    }
    const auto text = [&](const char* name) { return change.at(name).get<std::string>(); };
    Print("{}{:%H:%M:%S} {} {} {}: {} -> {}, {}\n",
          terminal_ ? kEraseLine : "",
          fmt::localtime(static_cast<std::time_t>(change.at("at").get<double>())),
          text("run_id").substr(0, 8),
          text("model"),
          text("dataset"),
          text("from_state"),
          text("to_state"),
          text("reason"));
  }

  [[nodiscard]] std::string CountsText() const {
    std::string text;
    for (const Json& count : counts_) {
      text += fmt::format("{}{} {}",
                          text.empty() ? "" : ", ",
                          count.at("runs").get<int64_t>(),
                          count.at("state").get<std::string>());
    }
    return text;
  }

  [[nodiscard]] int Conclude() const {
    RequireRuns();
    bool failed = false;
    Json by_state = Json::object();
    for (const Json& count : counts_) {
      by_state[count.at("state").get<std::string>()] = count.at("runs");
      failed = failed || count.at("state") == "failed" || count.at("state") == "cancelled";
    }
    if (global_.json) {
      Print("{}\n", Json{{"schema", "sweep.watch/1"}, {"runs_by_state", by_state}}.dump());
    } else {
      Print("{}nobody works on {} now: {}\n",
            terminal_ ? kEraseLine : "",
            global_.store,
            CountsText());
    }
    return failed ? static_cast<int>(FailureCode::kRunsFailed) : 0;
  }

  const GlobalOptions& global_;
  const WatchOptions& options_;
  bool terminal_;
  std::string last_;  // transition_id
  Json counts_;
};

}  // namespace

void AddWatchCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* command =
      app.add_subcommand("watch", "Follow a sweep that another process runs, until it ends");
  command->footer(
      "Example:\n"
      "  sweep watch\n"
      "  sweep watch quickstart --store results | tee changes.txt\n"
      "Prints each change of a run's state; writes nothing, and Ctrl-C stops the watching alone. "
      "Exit code 3 if runs have failed. With --json a line a change, then a summary.");
  command->add_option("sweep", options->sweep, "Name or id of one sweep (default: all)");
  command->add_option("--every", options->every_seconds, "Seconds between two looks")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([&global, &action, options] {
    action = [&global, options] { return Watcher(global, *options).Run(); };
  });
}

}  // namespace sweep
