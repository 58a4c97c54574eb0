#include "orchestrator/data_files.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "core/failure.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

fs::path InstalledFolder() {
  std::error_code unknown;
  const fs::path program = fs::read_symlink("/proc/self/exe", unknown);
  return unknown ? fs::path() : program.parent_path().parent_path() / "share" / "sweep";
}

fs::path DataFolder() {
  if (const char* chosen = std::getenv("SWEEP_DATA_DIR"); chosen != nullptr && *chosen != '\0') {
    if (fs::is_directory(chosen)) return chosen;
    throw Failure(FailureCode::kUsage,
                  fmt::format("SWEEP_DATA_DIR is '{}', expected a folder", chosen));
  }
  const fs::path of_source = SWEEP_DATA_DIR_DEFAULT;
  if (fs::is_directory(of_source)) return of_source;
  const fs::path installed = InstalledFolder();
  if (!installed.empty() && fs::is_directory(installed)) return installed;
  throw Failure(FailureCode::kUsage,
                fmt::format("the shipped data is neither in {} nor in {}; set SWEEP_DATA_DIR",
                            of_source.string(),
                            installed.string()));
}

}  // namespace

fs::path DataPath(std::string_view relative) {
  const fs::path folder = DataFolder();
  return relative.empty() ? folder : folder / relative;
}

}  // namespace sweep
