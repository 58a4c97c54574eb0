#include "orchestrator/job_limits.h"

#include <algorithm>

namespace sweep {
namespace {

constexpr double kTimeMargin = 1.5;
constexpr double kStartUpSeconds = 600;  // and evaluations, which the plan leaves out
constexpr double kTimeClass = 600;
constexpr double kMostSeconds = 365.0 * 24 * 3600;  // schedulers count in few bits
constexpr double kMemoryMargin = 1.25;
constexpr double kProgramBytes = 600.0 * (1 << 20);  // LibTorch itself, and data on its way
constexpr double kMemoryClass = 1 << 30;

double RoundedUp(double value, double least) {
  double bound = least;
  for (; bound < value; bound *= 2) {
    if (1.5 * bound >= value) return 1.5 * bound;
  }
  return bound;
}

}  // namespace

JobLimits LimitsOf(const ExecutorSettings& settings, const AttemptNeeds& needs) {
  JobLimits limits;
  limits.seconds = settings.time_limit_seconds;
  if (settings.resources_from != "plan") return limits;
  if (needs.seconds > 0) {
    const double asked = RoundedUp(needs.seconds * kTimeMargin + kStartUpSeconds, kTimeClass);
    limits.seconds = std::min({asked, kMostSeconds, limits.seconds.value_or(kMostSeconds)});
  }
  if (needs.memory_bytes > 0 && settings.gpus_per_run.value_or(0) == 0) {
    const auto processes_here =
        static_cast<double>(settings.processes()) / static_cast<double>(settings.nodes_per_run);
    limits.memory_bytes = RoundedUp(
        (needs.memory_bytes * kMemoryMargin + kProgramBytes) * processes_here, kMemoryClass);
  }
  return limits;
}

}  // namespace sweep
