#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "trainer/peers.h"

namespace sweep {

/// This process's place among those that work on one attempt.
struct Rank {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;      ///< among those of this machine: which GPU
  bool starts_others = false;  ///< rank 0, where no launcher has started the other processes
};

/// The place of this process among `size`. Nothing of it is taken from variables that a process may
/// have inherited from elsewhere (RANK of a pod, the SLURM_* of a step around a local sweep): a
/// process that LocalPeers started knows its rank from it, one of a Slurm step of `size` tasks from
/// SLURM_PROCID and SLURM_LOCALID where `launcher` (of attempt.json) is `srun`; every other one is
/// rank 0 and starts the others. Throws Failure(kUsage) for a rank that is not below `size`.
[[nodiscard]] Rank FindRank(int64_t size, const std::string& launcher = "");

/// The other processes of an attempt that no launcher has started: copies of this one with another
/// rank, which die with it.
class LocalPeers {
 public:
  /// Starts ranks 1 to size - 1. `argv` is this process's command line. Throws Failure(kInternal).
  LocalPeers(char* const* argv, int64_t size);
  /// Waits for them to end; ends them where an exception is on its way.
  ~LocalPeers();
  /// Throws Failure(kInternal) when one of them has ended.
  void RequireAlive() const;
  LocalPeers(const LocalPeers&) = delete;
  LocalPeers& operator=(const LocalPeers&) = delete;

 private:
  std::vector<int> pids_;
  int exceptions_;  // on their way when it was made
};

/// Meets the other ranks through a file at `meeting`, which all of them can reach, and joins them
/// by LibTorch's Gloo, and for tensors of GPUs by its NCCL where this program was built with it and
/// each rank's `device` is a GPU of its own. Waits for the others, at most ten minutes, and throws
/// Failure(kInterrupted) when `gives_up` says so meanwhile; a rank that dies, or that is
/// silent for ten minutes, makes every later call throw (NCCL does not see a death: after ten
/// minutes it ends the process). Throws Failure(kUsage) where the program
/// was built without Gloo.
[[nodiscard]] std::unique_ptr<Peers> JoinPeers(const std::filesystem::path& meeting,
                                               const Rank& rank,
                                               at::Device device = at::kCPU,
                                               const std::function<bool()>& gives_up = nullptr);

}  // namespace sweep
