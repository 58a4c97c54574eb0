#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sweep {

/// What `sweep db check` finds, a sentence each.
struct StoreCheck {
  std::string index = "ok";           ///< of SQLite's own checks
  std::vector<std::string> problems;  ///< damaged or missing files; where index and files disagree
  std::vector<std::string> remarks;   ///< what is lost and concerns no point
  std::vector<std::string> advice;    ///< what mends the problems
  int64_t evaluations_without_checksum = 0;
  bool compared = true;  ///< false while a process that holds the store changes it
};

/// Reads everything in a store: the database, the journal, the files of all sweeps, imports and
/// runs; makes a second database of the files, which lies on no disk for long, and compares. Writes
/// nothing. Throws Failure(kData) where there is no store.
[[nodiscard]] StoreCheck CheckStore(const std::filesystem::path& root);

}  // namespace sweep
