#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/failure.h"
#include "core/json.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/doctor.h"

namespace sweep {
namespace {

int Doctor(const GlobalOptions& global) {
  const std::vector<Diagnosis> all = Diagnose(global.store);
  const bool fails = std::any_of(all.begin(), all.end(), [](const Diagnosis& d) {
    return d.level == Diagnosis::Level::kFail;
  });
  if (global.json) {
    Json checks = Json::array();
    for (const Diagnosis& d : all) {
      checks.push_back({{"subject", d.subject},
                        {"level", ToString(d.level)},
                        {"finding", d.finding},
                        {"advice", d.advice}});
    }
    Print("{}\n", Json{{"schema", "sweep.doctor/1"}, {"ok", !fails}, {"checks", checks}}.dump(1));
  } else {
    for (const Diagnosis& d : all) {
      Print("{:<5} {:<8} {}\n", ToString(d.level), d.subject, d.finding);
      if (!d.advice.empty()) Print("{:15}{}\n", "", d.advice);
    }
  }
  return fails ? static_cast<int>(FailureCode::kUsage) : 0;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Is all here that sweeps need: trainer, GPU, Slurm, data, store, clocks?");
  command->footer(
      "Example:\n"
      "  sweep doctor\n"
      "  sweep doctor --store /scratch/me/store\n"
      "Each line is ok, warn (some sweeps will not work) or fail (none will), with what to do. "
      "Exit code 2 if a line is fail.");
  command->callback([&global, &action] { action = [&global] { return Doctor(global); }; });
}

}  // namespace sweep
