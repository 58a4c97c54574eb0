#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <sstream>

#include "core/failure.h"
#include "core/output.h"
#include "core/process_setup.h"
#include "core/read_file.h"
#include "orchestrator/cli/command.h"

namespace sweep {
namespace {

// Giving freed memory back to the kernel piece by piece is a tenth of what `plan` of many runs
// takes.
void KeepFreedMemory() {
  constexpr int kBlock = 1 << 30;
  (void)::mallopt(M_MMAP_THRESHOLD, kBlock);
  (void)::mallopt(M_TRIM_THRESHOLD, kBlock);
}

int Main(int argc, char** argv) {
  KeepFreedMemory();
  CLI::App app("sweep: scaling-law experiments for CLIP, from a grid in JSON to a fitted law.");
  app.set_version_flag("--version", SWEEP_VERSION);
  app.require_subcommand(1);
  app.fallthrough();  // global options may stand after the subcommand
  GlobalOptions global;
  app.add_option("--store", global.store, "Folder of the store")
      ->capture_default_str()
      ->envname("SWEEP_STORE");
  app.add_flag("--json", global.json, "Print the result as JSON on stdout");
  Action action;
  AddInitCommand(app, global, action);
  AddValidateCommand(app, global, action);
  AddModelsCommand(app, global, action);
  AddPlanCommand(app, global, action);
  AddRunCommand(app, global, action);
  AddCancelCommand(app, global, action);
  AddRetryCommand(app, global, action);
  AddStatusCommand(app, global, action);
  AddWatchCommand(app, global, action);
  AddExplainCommand(app, global, action);
  AddLogsCommand(app, global, action);
  AddImportCommand(app, global, action);
  AddFitCommand(app, global, action);
  AddCompareCommand(app, global, action);
  AddPredictCommand(app, global, action);
  AddSuggestCommand(app, global, action);
  AddForecastCommand(app, global, action);
  AddMultiverseCommand(app, global, action);
  AddAllocateCommand(app, global, action);
  AddLawsCommand(app, global, action);
  AddExportCommand(app, global, action);
  AddDbCommand(app, global, action);
  AddGcCommand(app, global, action);
  AddDoctorCommand(app, global, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream help;
    std::ostringstream mistake;
    const int code = app.exit(error, help, mistake);
    PrintText(help.str());
    TellText(mistake.str());
    FinishOutput();
    return code == 0 ? 0 : static_cast<int>(FailureCode::kUsage);
  }
  const int code = action();
  FinishOutput();
  return code;
}

}  // namespace
}  // namespace sweep

// The one catch-all: one line for the user, a documented code for the script.
int main(int argc, char** argv) {
  sweep::PrepareProcess();
  try {
    return sweep::Main(argc, argv);
  } catch (const sweep::Failure& failure) {
    if (failure.code() != sweep::FailureCode::kOutputClosed)
      sweep::Tell("sweep: {}\n", failure.what());
    return failure.exit_code();
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr,
                 "sweep: cannot use %s: %s\n",
                 error.path1().c_str(),
                 error.code().message().c_str());
    return static_cast<int>(sweep::CodeOfReadError(error.code().value()));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sweep: internal error: %s\n", error.what());
    return static_cast<int>(sweep::FailureCode::kInternal);
  }
}
