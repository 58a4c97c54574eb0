#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_table.h"
#include "orchestrator/detach.h"
#include "orchestrator/run_sweep.h"

namespace sweep {
namespace {

int ExitCode(const SweepReport& report) {
  if (report.outcome.interrupted) return static_cast<int>(FailureCode::kInterrupted);
  if (report.outcome.disk_full) return static_cast<int>(FailureCode::kDiskFull);
  if (report.outcome.failed + report.outcome.blocked > 0)
    return static_cast<int>(FailureCode::kRunsFailed);
  return 0;
}

Json ReportJson(const SweepReport& report) {
  return {{"schema", "sweep.run_report/1"},
          {"name", report.name},
          {"sweep_id", report.sweep_id},
          {"total_runs", report.total_runs},
          {"already_done", report.already_done},
          {"completed", report.outcome.completed},
          {"failed", report.outcome.failed},
          {"diverged", report.outcome.diverged},
          {"blocked", report.outcome.blocked},
          {"interrupted", report.outcome.interrupted},
          {"disk_full", report.outcome.disk_full},
          {"problems", report.outcome.problems},
          {"predicted_seconds", report.training.predicted_seconds},
          {"actual_seconds", report.training.actual_seconds},
          {"fits", ToJson(report.fits.reports).at("fits")},
          {"fit_problems", report.fits.problems}};
}

void PrintReport(const SweepReport& report) {
  const SweepOutcome& outcome = report.outcome;
  Print("sweep {}: {} runs, {} done before, {} completed now",
        report.name,
        report.total_runs,
        report.already_done,
        outcome.completed);
  if (outcome.failed > 0) Print(", {} failed", outcome.failed);
  if (outcome.diverged > 0) Print(", {} diverged", outcome.diverged);
  if (outcome.blocked > 0) Print(", {} waiting for a run that failed", outcome.blocked);
  Print("\n");
  for (const std::string& problem : outcome.problems) Print("  {}\n", problem);
  if (const std::string took = TookText(report.training); !took.empty()) Print("{}\n", took);
  if (!report.fits.reports.empty()) Print("\n{}", FitTables(report.fits.reports));
  for (const std::string& problem : report.fits.problems) Print("not fitted: {}\n", problem);
  if (outcome.disk_full)
    Print("stopped: a trainer found no room on the disk; {}\n", kMakeRoomAdvice);
  if (outcome.interrupted) Print("interrupted; the same command goes on where it stopped\n");
}

// What the copy said is shown where it has ended already.
int RunDetached(const GlobalOptions& global) {
  const Detached detached = StartDetached(global.store);
  if (detached.exit_code) {
    const std::string said = ReadFile(detached.log);
    if (*detached.exit_code == 0) {
      PrintText(said);
    } else {
      TellText(said);
    }
    return *detached.exit_code;
  }
  if (global.json) {
    Print(
        "{}\n",
        Json{{"schema", "sweep.detached/1"}, {"pid", detached.pid}, {"log", detached.log.string()}}
            .dump(1));
    return 0;
  }
  Print(
      "process {} goes on by itself and prints to {}\n"
      "`sweep watch` follows it; `kill -INT {}` saves and stops; the same command goes on\n",
      detached.pid,
      detached.log.string(),
      detached.pid);
  return 0;
}

}  // namespace

void AddRunCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<RunSweepOptions>();
  CLI::App* command = app.add_subcommand("run", "Do what is missing of a sweep, then fit its laws");
  command->footer(
      "Example:\n"
      "  sweep run sweeps/quickstart.json\n"
      "  sweep run grid.json --slots 4 --store results\n"
      "  sweep run grid.json --max-gpu-hours 500\n"
      "  sweep run grid.json --detach\n"
      "Ctrl-C saves and stops; the same command goes on. A finished sweep costs nothing to run "
      "again.");
  command->add_option("sweep_file", options->sweep_file, "Sweep file (JSON)")->required();
  command
      ->add_option("--slots",
                   options->slots,
                   "Runs at once on this machine (default: the sweep file's, or one a core)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--executor", options->executor, "Where runs work (default: the sweep file's)")
      ->check(CLI::IsMember({"local", "slurm", "command"}));
  command
      ->add_option(
          "--max-gpu-hours",
          options->most_hours,
          "Start nothing and exit with code 4 if what is missing may cost more (core-hours "
          "where runs use no GPU; `sweep plan` shows the cost)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag(
      "--retry-failed", options->retry_failed, "Start failed, diverged and cancelled runs again");
  auto detach = std::make_shared<bool>(false);
  command->add_flag(
      "--detach", *detach, "Go on in the background, also when this terminal is closed");
  command->callback([&global, &action, options, detach] {
    action = [&global, options, detach] {
      if (*detach) return RunDetached(global);
      options->store = global.store;
      const SweepReport report = RunSweep(*options);
      if (global.json) {
        Print("{}\n", ReportJson(report).dump(1));
      } else {
        PrintReport(report);
      }
      return ExitCode(report);
    };
  });
}

}  // namespace sweep
