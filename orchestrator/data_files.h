#pragma once

#include <filesystem>
#include <string_view>

namespace sweep {

/// Path of a file of the shipped data (models, data sets, vocabularies, published figures, sweep
/// files), as `DataPath("models/clip.json")`; with "" the folder itself.
///
/// The folder is the environment's SWEEP_DATA_DIR; else the source tree's `sweeps/` this program
/// was built from, if that is still there; else `share/sweep` beside the `bin/` the program lies
/// in. Throws Failure(kUsage) that names all three when there is none.
[[nodiscard]] std::filesystem::path DataPath(std::string_view relative);

}  // namespace sweep
