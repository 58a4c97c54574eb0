#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "trainer/peers.h"

namespace sweep {

/// This process's place among those that work on one attempt.
struct Rank {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;  ///< among those of this machine: which GPU
};

/// Where a launcher has put this process: the variables RANK and LOCAL_RANK (torchrun), else
/// SLURM_PROCID and SLURM_LOCALID within a step of `size` tasks, else rank 0. Throws
/// Failure(kUsage) for a rank that is not below `size`.
[[nodiscard]] Rank FindRank(int64_t size);

/// Whether a launcher has started all processes; else rank 0 has to start the others.
[[nodiscard]] bool IsLaunched(int64_t size);

/// The other processes of an attempt that no launcher has started: copies of this one with another
/// RANK, which die with it.
class LocalPeers {
 public:
  /// Starts ranks 1 to size - 1. `argv` is this process's command line. Throws Failure(kInternal).
  LocalPeers(char* const* argv, int64_t size);
  /// Waits for them to end; ends them where an exception is on its way.
  ~LocalPeers();
  LocalPeers(const LocalPeers&) = delete;
  LocalPeers& operator=(const LocalPeers&) = delete;

 private:
  std::vector<int> pids_;
  int exceptions_;  // on their way when it was made
};

/// Meets the other ranks through a file at `meeting`, which all of them can reach, and joins them
/// by LibTorch's Gloo, and for tensors of GPUs by its NCCL where this program was built with it and
/// each rank's `device` is a GPU of its own. Waits for the others; a rank that dies, or that is
/// silent for ten minutes, makes every later call throw (NCCL does not see a death: after ten
/// minutes it ends the process). Throws Failure(kUsage) where the program
/// was built without Gloo.
[[nodiscard]] std::unique_ptr<Peers> JoinPeers(const std::filesystem::path& meeting,
                                               const Rank& rank,
                                               at::Device device = at::kCPU);

}  // namespace sweep
