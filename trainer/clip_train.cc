#include <CLI/CLI.hpp>
#include <cstdio>

#include "core/failure.h"
#include "trainer/attempt.h"
#include "trainer/device.h"
#include "trainer/version.h"

namespace {

constexpr const char* kDescription =
    "Trains one run and makes its evaluations: whatever RUN_DIR (docs/run_directory.md) still "
    "lacks.\nUsually started by `sweep run`.";
constexpr const char* kFooter = "Example:\n  clip_train sweep-store/runs/88789fcd4a99ce37 1\n";

int Run(int argc, char** argv) {
  std::string run_directory;
  int64_t attempt = 0;
  CLI::App app(kDescription, "clip_train");
  app.footer(kFooter);
  app.set_version_flag("--version", sweep::kProgramVersion);
  app.add_option("RUN_DIR", run_directory, "Folder of the run, with its spec.json")->required();
  app.add_option("ATTEMPT", attempt, "Number of the attempt, with its attempt.json")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(sweep::FailureCode::kUsage);
  }
  sweep::RunAttempt(run_directory, attempt);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sweep::KeepFreedMemory();
  try {
    return Run(argc, argv);
  } catch (const sweep::Failure& failure) {
    std::fprintf(stderr, "clip_train: %s\n", failure.what());
    return failure.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "clip_train: internal error: %s\n", error.what());
    return static_cast<int>(sweep::FailureCode::kInternal);
  }
}
