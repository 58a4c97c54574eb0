#include "orchestrator/sweep_file/expanded_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/compute.h"

namespace sweep {

const RunRow* ExpandedSweep::Find(const std::string& run_id) const {
  const auto found = std::find_if(
      runs.begin(), runs.end(), [&](const RunRow& run) { return run.run_id == run_id; });
  return found == runs.end() ? nullptr : &*found;
}

double GmacsSavedByBranches(const ExpandedSweep& sweep) {
  std::set<std::string> parents;
  for (const RunRow& run : sweep.runs) parents.insert(run.spec.start.run_id);
  double separate = 0;
  double together = 0;
  for (const RunRow& run : sweep.runs) {
    if (!parents.contains(run.run_id)) separate += run.compute_gmacs;
    together += static_cast<double>(run.spec.samples_seen) * run.gmacs_per_sample;
  }
  return parents.size() > 1 ? separate - together : 0;
}

std::string BranchSavingText(const ExpandedSweep& sweep) {
  const double saved = kTrainFlopsPerGmac * GmacsSavedByBranches(sweep);
  if (saved <= 0) return "";
  double alone = saved;
  for (const RunRow& run : sweep.runs)
    alone += kTrainFlopsPerGmac * run.gmacs_per_sample * static_cast<double>(run.spec.samples_seen);
  return fmt::format("branches save {:.0f}% of {:.3g} FLOPs", 100 * saved / alone, alone);
}

}  // namespace sweep
