#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/sweep_file/sweep_file.h"

#include "tests/fuzz/fuzz.h"

namespace sweep {

// A grid of a few bytes can stand for more runs than there is memory; `sweep` has a limit for that.
void Read(std::string_view text) {
  static const Catalog catalog = LoadCatalog(SWEEP_DATA_DIR);
  ProblemList problems;
  const SweepFile file = ParseSweepFile(text, "fuzz.json", catalog, problems);
  if (!problems.has_errors()) (void)Expand(file, problems);
}

}  // namespace sweep
