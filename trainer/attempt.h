#pragma once

#include <cstdint>
#include <filesystem>

namespace sweep {

/// One attempt at a run (docs/run_directory.md): trains unless there is a result, then makes the
/// evaluations that are missing. Holds the run's lock. Whatever goes wrong is written as a
/// `failure` event and thrown as Failure.
void RunAttempt(const std::filesystem::path& run_directory, int64_t attempt);

}  // namespace sweep
