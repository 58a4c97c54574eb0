#include "orchestrator/sweep_file/expanded_sweep.h"

#include <algorithm>

namespace sweep {

const ExpandedRun* ExpandedSweep::Find(const std::string& run_id) const {
  const auto found = std::find_if(
      runs.begin(), runs.end(), [&](const ExpandedRun& run) { return run.run_id == run_id; });
  return found == runs.end() ? nullptr : &*found;
}

}  // namespace sweep
