#include "core/trainer_event.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>

#include "core/failure.h"

namespace sweep {
namespace {

enum class MemberKind {
  kCount,    // an integer from 0 on
  kSamples,  // likewise, up to what the run sees
  kNumber,   // finite, or null
  kRate,     // likewise, from 0 on
  kText,
};

struct Member {
  const char* type;
  const char* name;
  MemberKind kind;
};

constexpr std::array kMembers = {
    Member{"started", "host", MemberKind::kText},
    Member{"started", "pid", MemberKind::kCount},
    Member{"started", "device", MemberKind::kText},
    Member{"started", "threads", MemberKind::kCount},
    Member{"started", "processes", MemberKind::kCount},
    Member{"started", "sharding", MemberKind::kText},
    Member{"started", "program", MemberKind::kText},
    Member{"started", "resumed_from", MemberKind::kSamples},
    Member{"step", "step", MemberKind::kCount},
    Member{"step", "samples_seen", MemberKind::kSamples},
    Member{"step", "loss", MemberKind::kNumber},
    Member{"step", "learning_rate", MemberKind::kNumber},
    Member{"step", "logit_scale", MemberKind::kNumber},
    Member{"step", "samples_per_second", MemberKind::kRate},
    Member{"step", "data_wait", MemberKind::kNumber},
    Member{"step", "mfu", MemberKind::kNumber},
    Member{"checkpoint", "samples_seen", MemberKind::kSamples},
    Member{"checkpoint", "path", MemberKind::kText},
    Member{"unstable_step", "step", MemberKind::kCount},
    Member{"unstable_step", "samples_seen", MemberKind::kSamples},
    Member{"unstable_step", "problem", MemberKind::kText},
    Member{"unstable_step", "loss", MemberKind::kNumber},
    Member{"unstable_step", "gradient_norm", MemberKind::kNumber},
    Member{"unstable_step", "reaction", MemberKind::kText},
    Member{"rewound", "step", MemberKind::kCount},
    Member{"rewound", "samples_seen", MemberKind::kSamples},
    Member{"rewound", "rewinds", MemberKind::kCount},
    Member{"rewound", "skipped_batches", MemberKind::kCount},
    Member{"loss_scale", "step", MemberKind::kCount},
    Member{"loss_scale", "loss_scale", MemberKind::kNumber},
    Member{"slow_data", "step", MemberKind::kCount},
    Member{"slow_data", "data_wait", MemberKind::kNumber},
    Member{"slow_data", "data_threads", MemberKind::kCount},
    Member{"evaluation", "eval_id", MemberKind::kText},
    Member{"evaluation", "eval_dataset", MemberKind::kText},
    Member{"evaluation", "seconds", MemberKind::kRate},
    Member{"unusable_pair", "name", MemberKind::kText},
    Member{"unusable_pair", "problem", MemberKind::kText},
    Member{"failure", "class", MemberKind::kText},
    Member{"failure", "message", MemberKind::kText},
};

bool IsCount(const Json& event, const char* name, int64_t most) {
  const std::optional<int64_t> count = FindInteger(event, name);
  return count && *count >= 0 && *count <= most;
}

bool IsRate(const Json& event, const char* name) {
  const std::optional<double> rate = FindNumber(event, name);
  return rate && *rate >= 0;
}

bool Holds(const Json& event, const Member& member, int64_t most_samples) {
  const bool null = event.at(member.name).is_null();
  switch (member.kind) {
    case MemberKind::kCount:
      return IsCount(event, member.name, INT64_MAX);
    case MemberKind::kSamples:
      return IsCount(event, member.name, most_samples);
    case MemberKind::kNumber:
      return null || FindNumber(event, member.name);
    case MemberKind::kRate:
      return null || IsRate(event, member.name);
    case MemberKind::kText:
      return FindText(event, member.name).has_value();
  }
  return false;
}

std::string Expected(MemberKind kind, int64_t most_samples) {
  switch (kind) {
    case MemberKind::kCount:
      return "an integer from 0 on";
    case MemberKind::kSamples:
      return fmt::format("an integer from 0 to the {} samples of the run", most_samples);
    case MemberKind::kNumber:
      return "a number or null";
    case MemberKind::kRate:
      return "a number from 0 on or null";
    case MemberKind::kText:
      return "a string";
  }
  return "";
}

[[noreturn]] void ThrowMember(const Json& event, const char* name, const std::string& expected) {
  constexpr size_t kMostShown = 80;
  std::string value = "absent";
  if (event.contains(name)) value = event.at(name).dump(-1, ' ', /*ensure_ascii=*/true);
  if (value.size() > kMostShown) value = value.substr(0, kMostShown) + "…";
  throw Malformed(fmt::format("'{}' is {}, expected {}", name, value, expected));
}

void CheckHead(const Json& event) {
  constexpr double kMostUnixTime = 1e11;  // the year 5138
  constexpr size_t kMostTypeBytes = 64;
  if (!IsCount(event, "seq", INT64_MAX) || FindInteger(event, "seq") == 0)
    ThrowMember(event, "seq", "an integer from 1 on");
  const std::optional<std::string> type = FindText(event, "type");
  if (!type || type->empty() || type->size() > kMostTypeBytes) ThrowMember(event, "type", "a word");
  if (event.contains("at") &&
      (!IsRate(event, "at") || FindNumber(event, "at").value() > kMostUnixTime))
    ThrowMember(event, "at", "Unix time in seconds");
}

}  // namespace

void CheckEvent(const Json& event, int64_t most_samples) {
  CheckHead(event);
  const std::string type = FindText(event, "type").value();
  for (const Member& member : kMembers) {
    if (member.type != type || !event.contains(member.name)) continue;
    if (!Holds(event, member, most_samples))
      ThrowMember(event, member.name, Expected(member.kind, most_samples));
  }
}

}  // namespace sweep
