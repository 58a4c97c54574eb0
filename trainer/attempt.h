#pragma once

#include <cstdint>
#include <filesystem>

namespace sweep {

/// One attempt at a run (docs/run_directory.md): trains unless there is a result, then makes the
/// evaluations that are missing. An attempt of several processes is this call in each of them:
/// rank 0 holds the run's lock, writes, and evaluates; where no launcher has started the others, it
/// starts them with `argv`, its own command line. Whatever goes wrong is written as a `failure`
/// event and thrown as Failure.
void RunAttempt(const std::filesystem::path& run_directory, int64_t attempt, char* const* argv);

}  // namespace sweep
