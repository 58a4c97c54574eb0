#pragma once

#include <map>
#include <string>

#include "core/json.h"
#include "db/records.h"

namespace sweep {

/// A sweep file, expanded: the runs as the store keeps them (parents before their children,
/// otherwise by ascending compute; every run_id once) and what executing them here takes.
struct ExpandedSweep : SweepRow {
  Json source;                                   ///< the sweep file's document
  std::map<std::string, std::string> locations;  ///< content id → file or folder on this machine
  std::map<std::string, std::string> install_hints;  ///< content id → what to do when it is absent

  [[nodiscard]] const RunRow* Find(const std::string& run_id) const;
};

/// Forward GMACs that the runs at the ends of all chains would cost beyond what the sweep costs,
/// were each trained from scratch by itself; 0 for a sweep without branches.
[[nodiscard]] double GmacsSavedByBranches(const ExpandedSweep& sweep);

/// "branches save 43% of 1.2e+15 FLOPs"; empty for a sweep whose branches save nothing.
[[nodiscard]] std::string BranchSavingText(const ExpandedSweep& sweep);

}  // namespace sweep
