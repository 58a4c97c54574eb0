#include "orchestrator/find_run.h"

#include <fmt/format.h>

#include "core/failure.h"

namespace sweep {

std::string FindRunId(const Store& store, const std::string& beginning) {
  const QueryTable found = store.Query(
      "SELECT run_id FROM runs WHERE substr(run_id, 1, length(?1)) = ?1 ORDER BY run_id LIMIT 3",
      {beginning});
  if (found.rows.empty()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("no run of {} begins with '{}'; `sweep status` lists them",
                              store.root().string(),
                              beginning));
  }
  if (found.rows.size() > 1) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("more than one run begins with '{}', as {} and {}; give more of the id",
                    beginning,
                    found.rows[0][0],
                    found.rows[1][0]));
  }
  return found.rows[0][0];
}

}  // namespace sweep
