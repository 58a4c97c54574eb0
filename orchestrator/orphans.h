#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sweep {

/// A variable of the environment of every local trainer that names its run's folder. What a trainer
/// starts inherits it, also through scripts and launchers and into sessions of its own.
inline constexpr std::string_view kRunVariable = "SWEEP_RUN_DIRECTORY";

/// The variable with its value, as an environment has it.
[[nodiscard]] std::string RunMark(const std::filesystem::path& run_directory);

/// A run whose `sweep` has died, or whose trainer was started by a program that has.
struct OrphanedRun {
  std::string run_id;
  std::filesystem::path directory;
  int64_t pid = 0;            ///< that `sweep` started, the leader of a process group; 0 where not known
  bool is_our_child = false;  ///< then nobody else has had the number `pid` meanwhile
};

/// What trains these runs on this machine: processes that carry a run's mark, and whole process
/// groups of `pid` in which one carries it or names the run in its command line (process ids are
/// used again).
class Orphans {
 public:
  /// Looks once.
  explicit Orphans(std::vector<OrphanedRun> runs);

  [[nodiscard]] bool none() const { return found_.empty(); }
  /// The process ids, by run.
  [[nodiscard]] const std::map<std::string, std::set<int>>& found() const { return found_; }

  void Look();
  /// A process hears a signal once, however often this is called: a trainer may take a second one
  /// as an order to drop its work.
  void SignalOnce(int signal);
  /// The process groups have heard this signal from somebody else.
  void GroupsHaveHeard(int signal);

 private:
  std::vector<OrphanedRun> runs_;
  std::map<std::string, std::set<int>> found_;
  std::map<std::string, bool> group_is_ours_;
  std::set<std::pair<int, int>> heard_;  // signal and process
};

/// Ends what trains these runs on this machine. They are asked to save and stop, and killed after
/// `patience`. Returns when none is left. Throws Failure(kStoreHeld) for those that stay after as
/// long again. `notes` receives a line for each run that had some.
void EndOrphans(const std::vector<OrphanedRun>& runs,
                std::chrono::seconds patience,
                std::vector<std::string>& notes);

}  // namespace sweep
