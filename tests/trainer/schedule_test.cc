#include "trainer/schedule.h"

#include <catch2/catch.hpp>

#include "tests/trainer/golden_folder.h"

namespace sweep {

TEST_CASE("Schedules equal open_clip's to 1e-12 at every step", "[golden]") {
  const Json golden = ReadJsonFile((GoldenFolder() / "schedule.json").string());
  const double rate = golden.at("learning_rate");
  const int64_t steps = golden.at("steps");
  for (const auto& [name, expected] : golden.at("rates").items()) {
    const ScheduleSpec schedule{name, golden.at("warmup_steps")};
    for (int64_t step = 0; step < steps; ++step) {
      INFO(name << " step " << step);
      CHECK(LearningRateAt(step, steps, rate, schedule) ==
            Approx(expected.at(static_cast<size_t>(step)).get<double>()).margin(1e-12 * rate));
    }
  }
}

TEST_CASE("Constant rate and cooldown equal open_clip's to 1e-12 at every step", "[golden]") {
  const Json golden = ReadJsonFile((GoldenFolder() / "schedule.json").string());
  const double rate = golden.at("learning_rate");
  const int64_t steps = golden.at("steps");
  for (const Json& cooldown : golden.at("cooldowns")) {
    const ScheduleSpec schedule{
        "constant_cooldown", golden.at("warmup_steps"), cooldown.at("steps"), cooldown.at("power")};
    for (int64_t step = 0; step < steps; ++step) {
      INFO("power " << schedule.cooldown_power << " step " << step);
      const double expected = cooldown.at("rates").at(static_cast<size_t>(step));
      CHECK(LearningRateAt(step, steps, rate, schedule) == Approx(expected).margin(1e-12 * rate));
    }
  }
}

TEST_CASE("The first step of a run without warm-up has the full rate") {
  CHECK(LearningRateAt(0, 10, 1e-3, {"cosine", 0}) == 1e-3);
}

}  // namespace sweep
