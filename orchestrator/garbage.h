#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "db/store.h"

namespace sweep {

/// Something in a store that nothing needs.
struct Garbage {
  std::string kind;  ///< `checkpoint`, `temporary` or `unlisted_run`
  std::filesystem::path path;
  double bytes = 0;
};

/// What `sweep gc` found.
struct GarbageReport {
  std::vector<Garbage> garbage;
  std::vector<std::filesystem::path> links;  ///< symbolic links, which nothing is looked for behind
};

/// What of a store can go:
///   - checkpoints of completed runs but the last and those that an evaluation or a child of any
///     sweep of the store, or an attempt's keep_at, needs; of other runs the newest two stay too;
///   - temporaries of writes that were cut off more than an hour ago;
///   - with `unlisted_runs`, folders of runs that no sweep of the store contains.
/// Runs at work, by the store or by their lock, are left alone, and so is everything that a symbolic
/// link leads to: it may lie outside of the store.
[[nodiscard]] GarbageReport FindGarbage(const Store& store, bool unlisted_runs);

}  // namespace sweep
