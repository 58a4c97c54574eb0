#include "orchestrator/sweep_file/run_draft.h"

#include <fmt/format.h>

#include "orchestrator/sweep_file/field.h"

namespace sweep {

size_t RunFieldIndex(std::string_view name) {
  return IndexOfField(RunFields(), name);
}

int64_t RealisedSamples(int64_t samples, int64_t batch) {
  const int64_t steps = samples / batch + (samples % batch != 0 ? 1 : 0);
  return steps * batch;
}

const Json& RunDraft::Value(std::string_view field) const {
  return values[RunFieldIndex(field)];
}

std::string RunDraft::Describe() const {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    if (origins[i] != ValueOrigin::kGiven || !values[i].is_primitive()) continue;
    const std::string value =
        values[i].is_string() ? values[i].get<std::string>() : values[i].dump();
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", RunFields()[i].name, value);
  }
  return text;
}

void RunDraft::Set(size_t field, Json value, ValueOrigin origin) {
  values[field] = std::move(value);
  origins[field] = origin;
}

void RunDraft::Set(std::string_view field, Json value, ValueOrigin origin) {
  Set(RunFieldIndex(field), std::move(value), origin);
}

}  // namespace sweep
