#include "trainer/schedule.h"

#include <cmath>
#include <numbers>

namespace sweep {

double LearningRateAt(int64_t step,
                      int64_t steps,
                      double learning_rate,
                      const ScheduleSpec& schedule) {
  if (step < schedule.warmup_steps) {
    return learning_rate * static_cast<double>(step + 1) /
           static_cast<double>(schedule.warmup_steps);
  }
  if (schedule.name == "constant") return learning_rate;
  if (schedule.name == "constant_cooldown") {
    const int64_t done = step - (steps - schedule.cooldown_steps);
    if (done < 0) return learning_rate;
    const double left =
        1 - static_cast<double>(done) / static_cast<double>(schedule.cooldown_steps);
    return learning_rate * std::pow(left, schedule.cooldown_power);
  }
  const auto since = static_cast<double>(step - schedule.warmup_steps);
  const auto length = static_cast<double>(steps - schedule.warmup_steps);
  return 0.5 * (1 + std::cos(std::numbers::pi * since / length)) * learning_rate;
}

}  // namespace sweep
