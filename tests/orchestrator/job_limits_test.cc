#include "orchestrator/job_limits.h"

#include <catch2/catch.hpp>

namespace sweep {

TEST_CASE("A job asks for the time limit alone, unless the plan is asked") {
  ExecutorSettings settings;
  CHECK(LimitsOf(settings, {100, 1e9}) == JobLimits{});
  settings.time_limit_seconds = 7200;
  CHECK(LimitsOf(settings, {100, 1e9}) == JobLimits{7200, std::nullopt});
}

TEST_CASE("By the plan a job asks for its run's time and memory with a margin, in few classes") {
  ExecutorSettings settings;
  settings.resources_from = "plan";
  const double minute = 60;
  const double gib = 1 << 30;
  CHECK(LimitsOf(settings, {}) == JobLimits{});  // an evaluation, of which nothing is known
  CHECK(LimitsOf(settings, {1, 0}).seconds == 15 * minute);
  CHECK(LimitsOf(settings, {20 * minute, 0}).seconds == 40 * minute);  // 30 and 10
  CHECK(LimitsOf(settings, {21 * minute, 0}).seconds == 60 * minute);  // the next class
  CHECK(LimitsOf(settings, {100 * minute, 0}).seconds == 160 * minute);
  CHECK(LimitsOf(settings, {1e30, 0}).seconds == 365 * 24 * 60 * minute);
  CHECK(LimitsOf(settings, {1, 1e6}).memory_bytes == 1 * gib);
  CHECK(LimitsOf(settings, {1, 1 * gib}).memory_bytes == 2 * gib);
  settings.processes_per_run = 4;
  settings.nodes_per_run = 2;
  CHECK(LimitsOf(settings, {1, 1 * gib}).memory_bytes == 4 * gib);
  settings.gpus_per_run = 4;  // the plan's memory is theirs
  CHECK(LimitsOf(settings, {1, 1 * gib}).memory_bytes == std::nullopt);
  settings.time_limit_seconds = 20 * minute;
  CHECK(LimitsOf(settings, {100 * minute, 0}).seconds == 20 * minute);
  CHECK(LimitsOf(settings, {}).seconds == 20 * minute);
}

}  // namespace sweep
