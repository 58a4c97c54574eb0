#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "core/failure.h"
#include "core/output.h"
#include "db/store.h"
#include "db/store_layout.h"
#include "orchestrator/batch_system.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {
namespace {

struct CancelOptions {
  std::vector<std::string> runs;
  bool all = false;
  std::string sweep_file;
};

// How jobs are cancelled is what the person says who gives the command, never the store.
ExecutorSettings SettingsOf(const std::string& sweep_file) {
  const Catalog catalog = LoadCatalog(DataPath(""));
  if (!sweep_file.empty()) return ReadSweepFile(sweep_file, catalog).executor;
  ProblemList problems;
  ExecutorSettings settings = ReadProfiles(".", catalog, problems).executor;
  problems.ThrowIfErrors();
  return settings;
}

bool IsChosen(const CancelOptions& options, const std::string& run_id) {
  return options.all || std::any_of(options.runs.begin(), options.runs.end(), [&](const auto& id) {
           return run_id.starts_with(id);
         });
}

// Writes nothing: whoever watches the store learns of it from the scheduler.
int Cancel(const GlobalOptions& global, const CancelOptions& options) {
  if (options.runs.empty() && !options.all)
    throw Failure(FailureCode::kUsage, "cancel: expected run ids or --all");
  RequireOwnLayout(global.store);
  const Store store(global.store, Store::Access::kRead);
  std::map<std::string, std::vector<std::string>> names;  // by executor
  size_t here = 0;                                        // processes
  for (const OpenAttempt& open : store.OpenAttempts()) {
    if (!IsChosen(options, open.run_id)) continue;
    if (open.job.empty()) {
      ++here;
    } else {
      names[open.executor].push_back(open.job);
    }
  }
  size_t cancelled = 0;
  for (const auto& [executor, jobs] : names) {
    const std::unique_ptr<BatchSystem> system =
        MakeBatchSystem(executor, SettingsOf(options.sweep_file), store.root());
    if (system == nullptr) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("{} jobs are with the executor '{}', which this program does not "
                                "know: cancel them with the sweep that started them",
                                jobs.size(),
                                executor));
    }
    cancelled += system->Cancel(jobs);
  }
  if (global.json) {
    Print("{}\n", Json{{"schema", "sweep.cancel/1"}, {"cancelled", cancelled}}.dump(1));
  } else {
    Print("{} job{} cancelled{}\n",
          cancelled,
          cancelled == 1 ? "" : "s",
          cancelled > 0 ? "; the next `sweep run` takes note" : "");
    if (here > 0) {
      Print("{} of the runs {} on this machine: Ctrl-C in their `sweep run` stops them\n",
            here,
            here == 1 ? "is" : "are");
    }
  }
  return 0;
}

}  // namespace

void AddCancelCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<CancelOptions>();
  CLI::App* command =
      app.add_subcommand("cancel", "Cancel the jobs of a cluster's scheduler that work on runs");
  command->footer(
      "Example:\n"
      "  sweep cancel 3ec45cd2\n"
      "  sweep cancel --all\n"
      "Runs on this machine stop with Ctrl-C. A cancelled run is left alone until `sweep run "
      "--retry-failed`.");
  command->add_option("runs", options->runs, "Ids of runs, or how they begin");
  command->add_option("--sweep",
                      options->sweep_file,
                      "Sweep file whose executor says how jobs are cancelled, where that is a "
                      "command and no profile has it");
  command->add_flag("--all", options->all, "Every run of the store");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Cancel(global, *options); };
  });
}

}  // namespace sweep
