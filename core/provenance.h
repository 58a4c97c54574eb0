#pragma once

#include "core/json.h"

namespace sweep {

/// Which build this program is: `commit` (empty outside a git checkout), `dirty` (tracked files
/// differed from it), `type` (of the build) and `compiler`.
[[nodiscard]] Json BuildProvenance();

/// What this machine is and how this process was set up: `cpu`, `kernel`, `gpu_driver` (empty
/// without one) and `environment`, those variables that change how a run works: SLURM_*,
/// CUDA_VISIBLE_DEVICES, OMP_NUM_THREADS, MKL_NUM_THREADS.
[[nodiscard]] Json MachineProvenance();

/// The words this process was started with.
[[nodiscard]] Json CommandLine();

}  // namespace sweep
