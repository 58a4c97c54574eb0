#include "core/run_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/canonical_fields.h"
#include "core/hash.h"
#include "core/json_fields.h"

namespace sweep {
namespace {

template <class T>
void Require(bool holds,
             const std::string& origin,
             const char* field,
             const T& value,
             const char* expected) {
  if (holds) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("{}: {} is {}, expected {}", origin, field, value, expected));
}

void ValidateTowerRate(const TowerRateSpec& s, const std::string& origin, const char* field) {
  Require(s.scale >= 0, origin, field, s.scale, "a scale of zero (frozen) or more");
  Require(s.layer_decay > 0 && s.layer_decay <= 1,
          origin,
          field,
          s.layer_decay,
          "a layer_decay in (0, 1]");
}

void ValidateOptimizer(const OptimizerSpec& s, const std::string& origin) {
  Require(s.name == "adamw" || s.name == "lamb", origin, "optimizer.name", s.name, "adamw or lamb");
  Require(
      s.learning_rate > 0, origin, "optimizer.learning_rate", s.learning_rate, "a positive number");
  Require(s.beta1 >= 0 && s.beta1 < 1, origin, "optimizer.beta1", s.beta1, "a number in [0, 1)");
  Require(s.beta2 >= 0 && s.beta2 < 1, origin, "optimizer.beta2", s.beta2, "a number in [0, 1)");
  Require(s.eps > 0, origin, "optimizer.eps", s.eps, "a positive number");
  Require(s.weight_decay >= 0, origin, "optimizer.weight_decay", s.weight_decay, "zero or more");
  Require(s.grad_clip_norm >= 0,
          origin,
          "optimizer.grad_clip_norm",
          s.grad_clip_norm,
          "zero (off) or more");
  ValidateTowerRate(s.vision, origin, "optimizer.vision");
  ValidateTowerRate(s.text, origin, "optimizer.text");
}

void ValidateSchedule(const ScheduleSpec& s, int64_t steps, const std::string& origin) {
  Require(s.name == "cosine" || s.name == "constant" || s.name == "constant_cooldown",
          origin,
          "schedule.name",
          s.name,
          "cosine, constant or constant_cooldown");
  Require(s.warmup_steps >= 0, origin, "schedule.warmup_steps", s.warmup_steps, "zero or more");
  const bool cools = s.name == "constant_cooldown";
  Require(cools ? s.cooldown_steps > 0 && s.cooldown_steps <= steps : s.cooldown_steps == 0,
          origin,
          "schedule.cooldown_steps",
          s.cooldown_steps,
          cools ? "at least one step and at most those of the run"
                : "nothing without schedule constant_cooldown");
  Require(s.cooldown_power > 0,
          origin,
          "schedule.cooldown_power",
          s.cooldown_power,
          "a positive number");
}

void ValidateInstability(const InstabilitySpec& s, const std::string& origin) {
  const bool reacts = s.reaction == "skip" || s.reaction == "rewind";
  Require(s.reaction == "stop" || reacts,
          origin,
          "instability.reaction",
          s.reaction,
          "stop, skip or rewind");
  Require(s.spike_threshold == 0 || (reacts && s.spike_threshold > 0),
          origin,
          "instability.spike_threshold",
          s.spike_threshold,
          "zero (off), or a positive number with skip or rewind");
  Require(s.rewind_steps > 0, origin, "instability.rewind_steps", s.rewind_steps, "at least 1");
  Require(s.limit >= 0, origin, "instability.limit", s.limit, "zero or more");
}

}  // namespace

Json ToJson(const RunSpec& spec) {
  return FieldsToJson(spec);
}

std::string RunId(const RunSpec& spec) {
  return ContentIdOfText(CanonicalFields(spec));
}

void ValidateRunSpec(const RunSpec& spec, const std::string& origin) {
  Require(spec.spec_version == 1,
          origin,
          "spec_version",
          spec.spec_version,
          "1 (written by a newer version of sweep?)");
  ValidateModelSpec(spec.model, origin + ", field 'model'");
  Require(spec.data.data_scale > 0,
          origin,
          "data.data_scale",
          spec.data.data_scale,
          "a positive number of pairs");
  Require(spec.global_batch_size > 1,
          origin,
          "global_batch_size",
          spec.global_batch_size,
          "at least 2 pairs (the contrastive loss compares them)");
  Require(spec.samples_seen > 0 && spec.samples_seen % spec.global_batch_size == 0,
          origin,
          "samples_seen",
          spec.samples_seen,
          "a positive multiple of global_batch_size");
  ValidateOptimizer(spec.optimizer, origin);
  ValidateSchedule(spec.schedule, spec.steps(), origin);
  ValidateTokenReduction(spec.reduction, spec.model.vision, origin);
  ValidateInstability(spec.instability, origin);
  constexpr std::array kPrecisions = {"fp32", "bf16", "fp16", "tf32"};
  Require(std::ranges::find(kPrecisions, spec.precision) != kPrecisions.end(),
          origin,
          "precision",
          spec.precision,
          "fp32, bf16, fp16 or tf32");
  Require(spec.seed >= 0, origin, "seed", spec.seed, "zero or more");
  const StartSpec& start = spec.start;
  const bool towers = !start.vision_file.empty() || !start.text_file.empty();
  Require(int{!start.run_id.empty()} + int{!start.file.empty()} + int{towers} <= 1,
          origin,
          "start",
          start.run_id + start.file,
          "one of a parent run, a file, and files of towers");
}

RunSpec ParseRunSpec(const Json& json, const std::string& origin) {
  auto spec = FieldsFromJson<RunSpec>(json, origin);
  ValidateRunSpec(spec, origin);
  return spec;
}

}  // namespace sweep
