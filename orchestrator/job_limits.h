#pragma once

#include <optional>

#include "orchestrator/executor.h"
#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// What a job asks its scheduler for besides processors; absent: as its site has it.
struct JobLimits {
  std::optional<double> seconds;
  std::optional<double> memory_bytes;  ///< on each of its nodes, of the host

  bool operator==(const JobLimits&) const = default;
};

/// By the settings, or with resources_from `plan` by what the plan says of the run: its longest
/// estimate and half as much again with ten minutes on top, time_limit at most; and, where runs use
/// no GPU, its memory and a quarter with 600 MiB a process. Both are rounded up, to 1, 1.5, 2, 3,
/// 4, 6, ... times ten minutes or a GiB, so that runs of one class can share a submission.
[[nodiscard]] JobLimits LimitsOf(const ExecutorSettings& settings, const AttemptNeeds& needs);

}  // namespace sweep
