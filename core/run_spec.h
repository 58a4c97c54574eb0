#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json.h"
#include "core/model_spec.h"
#include "core/token_reduction.h"

namespace sweep {

/// Training pairs, by content. `kind` names the reader (`fashion_scenes`, …), `options` are that
/// kind's own settings.
struct DataSpec {
  std::string kind;
  std::string content;     ///< content id of the underlying files; never a path
  int64_t data_scale = 0;  ///< number of distinct pairs: the first data_scale of the seeded order
  Json options = Json::object();
  bool operator==(const DataSpec&) const = default;
};

struct TokenizerSpec {
  std::string kind;        ///< `word` or `clip_bpe`
  std::string vocabulary;  ///< content id of the vocabulary file
  bool operator==(const TokenizerSpec&) const = default;
};

/// One tower's own rates, as factors on the run's learning rate.
struct TowerRateSpec {
  double scale = 1;        ///< of the tower's last layer
  double layer_decay = 1;  ///< each layer's factor over that of the next (Clark et al. 2020)
  bool operator==(const TowerRateSpec&) const = default;
};

struct OptimizerSpec {
  std::string name = "adamw";  ///< `adamw` or `lamb`
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.98;
  double eps = 1e-6;
  double weight_decay =
      0.2;  ///< not applied to parameters of one dimension or none (gains, biases, logit scale)
  bool decay_embeddings = true;  ///< decay position and class embeddings too
  double grad_clip_norm = 0;     ///< global L2 norm; 0 = off
  TowerRateSpec vision;
  TowerRateSpec text;
  bool operator==(const OptimizerSpec&) const = default;
};

struct ScheduleSpec {
  std::string name = "cosine";  ///< after a linear warm-up: `cosine` to 0 over the run, `constant`,
                                ///< or `constant_cooldown`, which falls to 0 over the last steps
  int64_t warmup_steps = 0;  ///< rate of step s (from 0) is learning_rate * (s + 1) / warmup_steps
  int64_t cooldown_steps = 0;  ///< of `constant_cooldown`
  double cooldown_power = 1;   ///< its rate is (1 - share done)^power
  bool operator==(const ScheduleSpec&) const = default;
};

/// What a run does about a step whose loss or gradient is not finite, or is a spike
/// (trainer/instability.h).
struct InstabilitySpec {
  std::string reaction =
      "stop";                  ///< `stop`: the run has diverged; `skip`: the step changes nothing;
                               ///< `rewind`: back, and on past the batches that led there
  double spike_threshold = 0;  ///< robust standard deviations of the gradient norm above its
                               ///< median; 0: only what is not finite
  int64_t rewind_steps = 100;  ///< `rewind` goes back to the last multiple of these
  int64_t limit = 10;          ///< more skips in a row, or more rewinds, and the run has diverged
  bool operator==(const InstabilitySpec&) const = default;
};

/// Where the weights come from. Empty: from scratch. Else the optimizer starts anew on a parent
/// run's or a file's weights.
struct StartSpec {
  std::string run_id;        ///< parent run …
  int64_t samples_seen = 0;  ///< … and how many samples it had seen in its own segment
  std::string file;          ///< or the content id of a safetensors file
  std::string vision_file;   ///< or of files for single towers; the rest starts from scratch
  std::string text_file;
  [[nodiscard]] bool scratch() const { return *this == StartSpec(); }
  bool operator==(const StartSpec&) const = default;
};

/// All that decides the trained weights of one run, and nothing else: no paths, names, partitions,
/// thread counts or evaluations. Its canonical JSON is `spec.json`'s identity and what `run_id` is
/// the hash of.
struct RunSpec {
  int64_t spec_version = 1;
  ModelSpec model;
  DataSpec data;
  TokenizerSpec tokenizer;
  int64_t samples_seen = 0;       ///< of this segment, realised: a multiple of global_batch_size
  int64_t global_batch_size = 0;  ///< pairs per optimizer step, over all devices
  OptimizerSpec optimizer;
  ScheduleSpec schedule;
  TokenReductionSpec reduction;
  InstabilitySpec instability;
  std::string precision = "fp32";  ///< `fp32`, `bf16`, `fp16` or `tf32`
  int64_t seed = 0;                ///< initialisation and data order
  StartSpec start;

  [[nodiscard]] int64_t steps() const { return samples_seen / global_batch_size; }
  bool operator==(const RunSpec&) const = default;
};

template <class Visitor>
void VisitFields(Visitor& visit, DataSpec& s) {
  visit("kind", s.kind);
  visit("content", s.content);
  visit("data_scale", s.data_scale);
  visit("options", s.options, Json::object());
}

template <class Visitor>
void VisitFields(Visitor& visit, TokenizerSpec& s) {
  visit("kind", s.kind);
  visit("vocabulary", s.vocabulary);
}

template <class Visitor>
void VisitFields(Visitor& visit, TowerRateSpec& s) {
  visit("scale", s.scale, 1.0);
  visit("layer_decay", s.layer_decay, 1.0);
}

template <class Visitor>
void VisitFields(Visitor& visit, OptimizerSpec& s) {
  visit("name", s.name, "adamw");
  visit("learning_rate", s.learning_rate);
  visit("beta1", s.beta1, 0.9);
  visit("beta2", s.beta2, 0.98);
  visit("eps", s.eps, 1e-6);
  visit("weight_decay", s.weight_decay, 0.2);
  visit("decay_embeddings", s.decay_embeddings, true);
  visit("grad_clip_norm", s.grad_clip_norm, 0.0);
  visit("vision", s.vision, TowerRateSpec());
  visit("text", s.text, TowerRateSpec());
}

template <class Visitor>
void VisitFields(Visitor& visit, ScheduleSpec& s) {
  visit("name", s.name, "cosine");
  visit("warmup_steps", s.warmup_steps, 0);
  visit("cooldown_steps", s.cooldown_steps, 0);
  visit("cooldown_power", s.cooldown_power, 1.0);
}

template <class Visitor>
void VisitFields(Visitor& visit, InstabilitySpec& s) {
  visit("reaction", s.reaction, "stop");
  visit("spike_threshold", s.spike_threshold, 0.0);
  visit("rewind_steps", s.rewind_steps, 100);
  visit("limit", s.limit, 10);
}

template <class Visitor>
void VisitFields(Visitor& visit, StartSpec& s) {
  visit("run_id", s.run_id, "");
  visit("samples_seen", s.samples_seen, 0);
  visit("file", s.file, "");
  visit("vision_file", s.vision_file, "");
  visit("text_file", s.text_file, "");
}

template <class Visitor>
void VisitFields(Visitor& visit, RunSpec& s) {
  visit("spec_version", s.spec_version);
  visit("model", s.model);
  visit("data", s.data);
  visit("tokenizer", s.tokenizer);
  visit("samples_seen", s.samples_seen);
  visit("global_batch_size", s.global_batch_size);
  visit("optimizer", s.optimizer);
  visit("schedule", s.schedule, ScheduleSpec());
  visit("reduction", s.reduction, TokenReductionSpec());
  visit("instability", s.instability, InstabilitySpec());
  visit("precision", s.precision, "fp32");
  visit("seed", s.seed, 0);
  visit("start", s.start, StartSpec());
}

/// The canonical JSON value of a spec (what is written to spec.json under "identity").
[[nodiscard]] Json ToJson(const RunSpec& spec);

/// 32 hexadecimal digits: the content id of ToJson(spec).
[[nodiscard]] std::string RunId(const RunSpec& spec);

/// Reads a spec and checks its values. Throws Failure(kUsage) naming `origin`, the field, its value
/// and what was expected.
[[nodiscard]] RunSpec ParseRunSpec(const Json& json, const std::string& origin);

/// Checks the values of a spec made in code; same errors as ParseRunSpec.
void ValidateRunSpec(const RunSpec& spec, const std::string& origin);

}  // namespace sweep
