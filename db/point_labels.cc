#include "db/point_labels.h"

namespace sweep {
namespace {

constexpr const char* kConstant = "constant";
constexpr const char* kConstantCooldown = "constant_cooldown";

std::string LastPart(const std::string& schedule) {
  const std::size_t plus = schedule.rfind('+');
  return plus == std::string::npos ? schedule : schedule.substr(plus + 1);
}

// Migration 9 of db/schema.cc says the same in SQL.
std::string ScheduleAfter(const std::string& before, const std::string& own) {
  const std::string last = LastPart(before);
  if (last == own) return before;
  if (last == kConstant && own == kConstantCooldown)
    return before.substr(0, before.size() - last.size()) + own;
  return before + "+" + own;
}

}  // namespace

std::unordered_map<std::string, PointLabels> PointLabelsOf(const std::vector<RunRow>& runs) {
  std::unordered_map<std::string, PointLabels> labels;
  labels.reserve(runs.size());
  for (const RunRow& run : runs) {
    const std::string& own = run.spec.schedule.name;
    const auto parent = labels.find(run.spec.start.run_id);
    const bool goes_on = parent != labels.end();
    if (goes_on && run.point_kind == "cooldown") parent->second.kind = "trunk";
    PointLabels mine{goes_on ? ScheduleAfter(parent->second.schedule, own) : own, run.point_kind};
    labels.insert_or_assign(run.run_id, std::move(mine));
  }
  return labels;
}

}  // namespace sweep
