#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// A GPU of this machine that our processes may use.
struct LocalGpu {
  std::string id;           ///< as CUDA_VISIBLE_DEVICES takes it
  std::string name;         ///< as its driver calls it
  double memory_bytes = 0;  ///< all of it
};

/// Those that nvidia-smi lists and CUDA_VISIBLE_DEVICES, where it is set, leaves; asked for once a
/// process. Empty without a driver.
[[nodiscard]] const std::vector<LocalGpu>& LocalGpus();

/// Reads what `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits`
/// prints; `visible` is the value of CUDA_VISIBLE_DEVICES, where it is set.
[[nodiscard]] std::vector<LocalGpu> ParseGpus(std::string_view text,
                                              const std::optional<std::string>& visible);

/// How much of a GPU's memory is left for what a run's training holds there.
[[nodiscard]] double RoomOnGpu(double memory_bytes);

/// Do runs of these settings work on GPUs, as far as can be told from here?
[[nodiscard]] bool WorksOnGpus(const ExecutorSettings& executor, const TrainerSettings& trainer);

/// Attempts at once on this machine: the settings', or as many as its cores and GPUs carry.
[[nodiscard]] size_t LocalSlots(const ExecutorSettings& executor, const TrainerSettings& trainer);

/// Which GPUs the runs at work have. Each run has some to itself as long as there are enough; more
/// runs than that, where the settings ask for them, share GPUs evenly while their memory suffices.
class GpuPacking {
 public:
  /// `runs_at_once` runs with `gpus_per_run` GPUs each. Without GPUs every run fits.
  GpuPacking(std::vector<LocalGpu> gpus, size_t gpus_per_run, size_t runs_at_once);

  /// Gives a run that needs so much memory on each of its GPUs the least occupied ones: their ids,
  /// or nullopt while there is no room. A run that needs more than any GPU has is given an empty
  /// one: the need is an estimate.
  [[nodiscard]] std::optional<std::vector<std::string>> Take(const std::string& run_id,
                                                             double memory_bytes);
  void Free(const std::string& run_id);

 private:
  struct Occupied {
    LocalGpu gpu;
    size_t runs = 0;
    double bytes = 0;
  };
  struct Taken {
    std::vector<size_t> gpus;
    double bytes = 0;
  };

  std::vector<Occupied> gpus_;
  size_t gpus_per_run_;
  size_t runs_per_gpu_ = 1;
  std::map<std::string, Taken> taken_;  // by run
};

}  // namespace sweep
