#include "orchestrator/run_grid.h"

#include <catch2/catch.hpp>

namespace sweep {
namespace {

const std::vector<GridRun> kRuns = {
    {"large", 2.0, 4096, RunState::kFailed},
    {"small", 1.0, 1024, RunState::kCompleted},
    {"small", 1.0, 1024, RunState::kRunning},
    {"small", 1.0, 4096, RunState::kPlanned},
};

}  // namespace

TEST_CASE("The grid has a symbol for each run, small models and short runs first") {
  CHECK(FormatRunGrid(kRuns, false) ==
        "       1.024k  4.096k\n"
        "small  #>      .\n"
        "large          !\n"
        "# completed  > running  . planned  ! failed\n");
}

TEST_CASE("A crowded cell counts its runs") {
  std::vector<GridRun> runs(12, kRuns[1]);
  runs.push_back(kRuns[2]);
  CHECK_THAT(FormatRunGrid(runs, false), Catch::Contains("small  12# 1>\n"));
}

TEST_CASE("Colour changes no letter") {
  const std::string coloured = FormatRunGrid(kRuns, true);
  CHECK_THAT(coloured, Catch::Contains("small  \x1b[32m#\x1b[0m\x1b[36m>\x1b[0m"));
  std::string plain;
  for (size_t at = 0; at < coloured.size(); ++at) {
    if (coloured[at] == '\x1b') {
      at = coloured.find('m', at);
    } else {
      plain += coloured[at];
    }
  }
  CHECK(plain == FormatRunGrid(kRuns, false));
}

}  // namespace sweep
