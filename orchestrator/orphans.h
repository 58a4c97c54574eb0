#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// A variable of the environment of every local trainer that names its run's folder. What a trainer
/// starts inherits it, also through scripts and launchers and into sessions of its own.
inline constexpr std::string_view kRunVariable = "SWEEP_RUN_DIRECTORY";

/// The variable with its value, as an environment has it.
[[nodiscard]] std::string RunMark(const std::filesystem::path& run_directory);

/// A run whose `sweep` has died.
struct OrphanedRun {
  std::string run_id;
  std::filesystem::path directory;
  int64_t pid = 0;  ///< that `sweep` started, the leader of a process group; 0 where not known
};

/// Ends what trains these runs on this machine: processes that carry a run's mark, and whole
/// process groups of `pid` in which one carries it or names the run in its command line (process
/// ids are used again). They are asked to save and stop, and killed after `patience`. Returns when
/// none is left. Throws Failure(kStoreHeld) for those that stay after as long again. `notes`
/// receives a line for each run that had some.
void EndOrphans(const std::vector<OrphanedRun>& runs,
                std::chrono::seconds patience,
                std::vector<std::string>& notes);

}  // namespace sweep
