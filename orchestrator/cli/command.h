#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace sweep {

/// What every subcommand shares; filled by CLI11 before a command's action runs.
struct GlobalOptions {
  std::string store = "sweep-store";  ///< folder of the store
  bool json = false;                  ///< machine-readable result on stdout
};

/// The work of the chosen subcommand; its value is the exit code. Trouble is thrown as Failure and
/// mapped by main.
using Action = std::function<int()>;

/// One function a file: `Add…Command` declares options and help (with an example) on `app`, and
/// sets `action` when the user has chosen that subcommand. `global` outlives the action.
void AddInitCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddValidateCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddModelsCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddPlanCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddRunCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddCancelCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddRetryCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddExplainCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddWatchCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddGcCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddDoctorCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddLogsCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddStatusCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddFitCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddLawsCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddCompareCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddAllocateCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddMultiverseCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddSuggestCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddForecastCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddPredictCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddImportCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddExportCommand(CLI::App& app, const GlobalOptions& global, Action& action);
void AddDbCommand(CLI::App& app, const GlobalOptions& global, Action& action);

}  // namespace sweep
