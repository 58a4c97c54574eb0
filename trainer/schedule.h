#pragma once

#include "core/run_spec.h"

namespace sweep {

/// Learning rate of optimizer step `step` (from 0) of `steps`. Linear warm-up
/// rate * (step + 1) / warmup_steps, then rate * (1 + cos(pi * e / E)) / 2 with e steps since the
/// warm-up of E, or the rate unchanged (open_clip's cosine and constant schedules).
[[nodiscard]] double LearningRateAt(int64_t step,
                                    int64_t steps,
                                    double learning_rate,
                                    const ScheduleSpec& schedule);

}  // namespace sweep
