#pragma once

#include <string>
#include <vector>

#include "db/run_state.h"

namespace sweep {

/// A run, or several alike, as the grid shows it.
struct GridRun {
  std::string model;
  double gmacs_per_sample = 0;
  int64_t samples_seen = 0;
  RunState state = RunState::kPlanned;
  int64_t count = 1;
};

/// Models, the smallest first, against samples_seen: a symbol for each run of a cell, or how many
/// of each symbol where they are many. Below it, what the symbols that occur mean. Plain ASCII;
/// `colour` adds terminal colours.
[[nodiscard]] std::string FormatRunGrid(const std::vector<GridRun>& runs, bool colour);

}  // namespace sweep
