#include "orchestrator/sweep_file/expanded_sweep.h"

#include <algorithm>
#include <set>

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

}  // namespace sweep
