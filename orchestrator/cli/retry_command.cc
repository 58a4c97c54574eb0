#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/find_run.h"
#include "orchestrator/recovery.h"
#include "orchestrator/retry_request.h"

namespace sweep {
namespace {

struct RetryOptions {
  std::vector<std::string> runs;
  bool failed = false;
};

// Diverged runs are results: they are tried again only where they are named.
std::vector<std::string> FailedRuns(const Store& store) {
  std::vector<std::string> runs;
  for (const auto& [run_id, state] : store.States()) {
    if (state == RunState::kFailed || state == RunState::kCancelled) runs.push_back(run_id);
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

std::vector<std::string> ChosenRuns(const Store& store, const RetryOptions& options) {
  if (options.failed) return FailedRuns(store);
  std::vector<std::string> runs;
  for (const std::string& beginning : options.runs) {
    const std::string run_id = FindRunId(store, beginning);
    const RunState state = store.FindRun(run_id)->state;
    if (!CanBeRetried(state)) {
      throw Failure(
          FailureCode::kUsage,
          fmt::format("run {} is {}: only a failed, diverged or cancelled run can be tried again",
                      run_id,
                      ToString(state)));
    }
    runs.push_back(run_id);
  }
  return runs;
}

// True when a request was left for another process, which holds the store.
bool RetryOrAsk(const std::string& root, const std::vector<std::string>& runs) {
  std::vector<std::string> notes;
  try {
    const std::unique_ptr<Store> store = OpenForWriting(root, notes);
    (void)Retry(*store, runs);
    return false;
  } catch (const Failure& failure) {
    if (failure.code() != FailureCode::kStoreHeld) throw;
    LeaveRetryRequest(root, runs);
    return true;
  }
}

int RetryRuns(const GlobalOptions& global, const RetryOptions& options) {
  if (options.runs.empty() == !options.failed)
    throw Failure(FailureCode::kUsage, "retry: expected ids of runs, or --failed");
  const std::vector<std::string> runs =
      ChosenRuns(Store(global.store, Store::Access::kRead), options);
  const bool asked = !runs.empty() && RetryOrAsk(global.store, runs);
  if (global.json) {
    Print("{}\n",
          Json{{"schema", "sweep.retry/1"}, {"runs", runs}, {"asked_the_holder", asked}}.dump(1));
  } else if (asked) {
    Print("{} runs: the process that holds the store is asked to try them again\n", runs.size());
  } else {
    Print("{} runs are planned again; `sweep run` does them\n", runs.size());
  }
  return 0;
}

}  // namespace

void AddRetryCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<RetryOptions>();
  CLI::App* command = app.add_subcommand("retry", "Try failed, diverged or cancelled runs again");
  command->footer(
      "Example:\n"
      "  sweep retry 3ec45cd2\n"
      "  sweep retry --failed\n"
      "While a `sweep run` works on the store it is asked to do them and takes note within a "
      "second; else the next one does.");
  command->add_option("runs", options->runs, "Ids of runs, or how they begin");
  command->add_flag("--failed", options->failed, "Every failed or cancelled run of the store");
  command->callback([&global, &action, options] {
    action = [&global, options] { return RetryRuns(global, *options); };
  });
}

}  // namespace sweep
