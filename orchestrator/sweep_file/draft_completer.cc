#include "orchestrator/sweep_file/draft_completer.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/compute.h"
#include "core/data_options.h"
#include "core/failure.h"
#include "core/hash.h"
#include "core/vocabulary.h"

namespace sweep {
namespace {

// Of every run field; null where there is none.
std::vector<Json> DefaultValues() {
  std::vector<Json> values;
  for (const Field& field : RunFields()) {
    values.push_back(field.fallback.empty() ? Json() : Json::parse(field.fallback));
  }
  return values;
}

OptimizerSpec OptimizerOf(const RunDraft& draft) {
  OptimizerSpec optimizer;
  optimizer.learning_rate = draft.Number("learning_rate");
  optimizer.beta1 = draft.Number("beta1");
  optimizer.beta2 = draft.Number("beta2");
  optimizer.eps = draft.Number("eps");
  optimizer.name = draft.Text("optimizer");
  optimizer.weight_decay = draft.Number("weight_decay");
  optimizer.decay_embeddings = draft.Value("decay_embeddings").get<bool>();
  optimizer.grad_clip_norm = draft.Number("grad_clip_norm");
  optimizer.vision = {draft.Number("vision_rate_scale"), draft.Number("vision_layer_decay")};
  optimizer.text = {draft.Number("text_rate_scale"), draft.Number("text_layer_decay")};
  return optimizer;
}

ScheduleSpec ScheduleOf(const RunDraft& draft) {
  return {draft.Text("schedule"),
          draft.Count("warmup_steps"),
          draft.Count("cooldown_steps"),
          draft.Number("cooldown_power")};
}

// Settings that decide nothing under a reaction stay at their defaults.
InstabilitySpec InstabilityOf(const RunDraft& draft) {
  InstabilitySpec instability;
  instability.reaction = draft.Text("on_instability");
  instability.spike_threshold = draft.Number("spike_threshold");
  if (instability.reaction == "stop") return instability;
  instability.limit = draft.Count("instability_limit");
  if (instability.reaction == "rewind") instability.rewind_steps = draft.Count("rewind_steps");
  return instability;
}

// Throws Failure with the run's given values, which are only put into words when they are needed.
void RequireValid(const RunSpec& spec, const RunDraft& draft) {
  try {
    ValidateRunSpec(spec, "run");
  } catch (const Failure&) {
    ValidateRunSpec(spec, fmt::format("run with {}", draft.Describe()));
  }
}

// Run fields that change the model's arithmetic.
constexpr std::array kModelFields = {
    "image_size", "patch_mask", "patch_dropout", "context_length", "loss"};

}  // namespace

DraftCompleter::DraftCompleter(const SweepFile& file, ProblemList& problems)
    : file_(file), reader_(file.source, file.catalog, problems) {}

bool DraftCompleter::Complete(RunDraft& draft) {
  for (const DerivedField& derived : file_.rules.derive) {
    if (draft.origins[derived.field] == ValueOrigin::kAbsent && !Derive(derived, draft))
      return false;
  }
  if (!SetDefaults(draft)) return false;
  SetModelFields(draft);
  return SetDataScale(draft) && MakeSpec(draft);
}

bool DraftCompleter::Derive(const DerivedField& derived, RunDraft& draft) {
  const Field& field = RunFields()[derived.field];
  double value = 0;
  try {
    value =
        derived.expression.Evaluate([&](const std::string& name) { return Lookup(name, draft); });
  } catch (const Failure& failure) {
    ErrorOnce("needs", derived.pointer, failure.what());
    return false;
  }
  if (field.type == FieldType::kCount) value = std::round(value);
  constexpr double kTooLargeForInt64 = 9.2e18;
  if (!InRange(field, value) || !(std::abs(value) < kTooLargeForInt64)) {
    ErrorOnce("range",
              derived.pointer,
              fmt::format("value {} for the run with {}, expected {}",
                          value,
                          draft.Describe(),
                          ExpectedValue(field)));
    return false;
  }
  draft.Set(derived.field,
            field.type == FieldType::kCount ? Json(static_cast<int64_t>(value)) : Json(value),
            ValueOrigin::kDerived);
  return true;
}

void DraftCompleter::DeriveIfWanted(size_t field, RunDraft& draft) {
  for (const DerivedField& derived : file_.rules.derive) {
    const bool wanted = derived.field == field && draft.origins[field] == ValueOrigin::kAbsent;
    if (wanted && !Derive(derived, draft)) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("needs '{}', which cannot be derived", RunFields()[field].name));
    }
  }
}

// The value of a name in an expression; other derived fields are computed on the way. That this
// ends has been checked when the file was read.
double DraftCompleter::Lookup(const std::string& name, RunDraft& draft) {
  if (name == "steps") {
    return std::ceil(Lookup("samples_seen", draft) / Lookup("global_batch_size", draft));
  }
  if (name == "params" || name == "gmacs_per_sample") {
    const Json& model = draft.Value("model");
    if (!model.is_string()) throw Failure(FailureCode::kUsage, "needs a model to compute " + name);
    const ModelFacts& facts = FactsOf(draft);
    return name == "params" ? facts.params : facts.gmacs_per_sample;
  }
  const size_t index = RunFieldIndex(name);
  DeriveIfWanted(index, draft);
  if (draft.values[index].is_number()) return draft.values[index].get<double>();
  if (name == "data_scale" && draft.Value("dataset").is_string()) {
    return static_cast<double>(file_.catalog.datasets.at(draft.Text("dataset")).size);
  }
  const std::string_view fallback = RunFields()[index].fallback;
  if (fallback.empty()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("needs '{}', which this run does not have", name));
  }
  return Json::parse(fallback).get<double>();
}

bool DraftCompleter::SetDefaults(RunDraft& draft) {
  static const std::vector<Json> kDefaults = DefaultValues();
  bool complete = true;
  for (size_t i = 0; i < RunFields().size(); ++i) {
    const Field& field = RunFields()[i];
    if (draft.origins[i] != ValueOrigin::kAbsent) continue;
    if (!kDefaults[i].is_null()) {
      draft.Set(i, kDefaults[i], ValueOrigin::kDefault);
    } else if (field.required) {
      complete = false;
      ErrorOnce("missing " + std::string(field.name),
                draft.pointer,
                fmt::format("field '{}' is missing, expected {} in grid, fixed or derive",
                            field.name,
                            ExpectedValue(field)));
    }
  }
  return complete;
}

void DraftCompleter::SetModelFields(RunDraft& draft) const {
  const ModelSpec model = ModelOf(draft);
  const auto set = [&](std::string_view field, Json value) {
    const size_t index = RunFieldIndex(field);
    if (draft.origins[index] == ValueOrigin::kAbsent)
      draft.Set(index, std::move(value), ValueOrigin::kDefault);
  };
  set("image_size", model.vision.image_size);
  set("context_length", model.text.context_length);
  set("loss", model.loss);
}

bool DraftCompleter::SetDataScale(RunDraft& draft) {
  const size_t index = RunFieldIndex("data_scale");
  const int64_t size = file_.catalog.datasets.at(draft.Text("dataset")).size;
  if (draft.origins[index] == ValueOrigin::kAbsent) {
    draft.Set(index, size, ValueOrigin::kDefault);
  }
  const auto scale = draft.values[index].get<int64_t>();
  if (scale <= size) return true;
  ErrorOnce("data_scale " + draft.Text("dataset"),
            draft.pointer,
            fmt::format("data_scale {} of dataset '{}', expected at most its size, {} pairs",
                        scale,
                        draft.Text("dataset"),
                        size));
  return false;
}

ModelSpec DraftCompleter::ModelOf(const RunDraft& draft) const {
  ModelSpec model = file_.catalog.models.at(draft.Text("model")).spec;
  const auto given = [&](std::string_view field) { return !draft.Value(field).is_null(); };
  if (given("image_size")) model.vision.image_size = draft.Count("image_size");
  if (given("context_length")) model.text.context_length = draft.Count("context_length");
  if (given("loss")) model.loss = draft.Text("loss");
  return model;
}

TokenReductionSpec DraftCompleter::ReductionOf(const RunDraft& draft,
                                               const DatasetDefinition& dataset) const {
  TokenReductionSpec reduction;
  reduction.patch_mask = draft.Text("patch_mask");
  reduction.patch_dropout = draft.Number("patch_dropout");
  reduction.text = draft.Text("text_reduction");
  if (reduction.text == "syntax") {
    if (dataset.parts_of_speech_file.empty()) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("text_reduction is syntax, expected truncate, random or block: "
                                "data set '{}' has no tokenizer.parts_of_speech",
                                draft.Text("dataset")));
    }
    reduction.parts_of_speech =
        ContentIdOfFile(file_.catalog.folder / dataset.parts_of_speech_file);
  }
  // Without dropout the kind of mask decides nothing.
  if (reduction.patch_dropout == 0) reduction.patch_mask = TokenReductionSpec().patch_mask;
  return reduction;
}

bool DraftCompleter::MakeSpec(RunDraft& draft) {
  RunSpec& spec = draft.spec;
  const DatasetDefinition& dataset = file_.catalog.datasets.at(draft.Text("dataset"));
  spec.model = ModelOf(draft);
  spec.data = {dataset.kind, dataset.content, draft.Count("data_scale"), dataset.options};
  spec.global_batch_size = draft.Count("global_batch_size");
  spec.samples_seen = RealisedSamples(draft.Count("samples_seen"), spec.global_batch_size);
  spec.optimizer = OptimizerOf(draft);
  spec.schedule = ScheduleOf(draft);
  spec.precision = draft.Text("precision");
  spec.instability = InstabilityOf(draft);
  spec.seed = draft.Count("seed");
  try {
    spec.tokenizer = {dataset.tokenizer_kind, VocabularyOf(dataset).content};
    spec.reduction = ReductionOf(draft, dataset);
    CheckModelFits(draft, dataset);
    RequireValid(spec, draft);
  } catch (const Failure& failure) {
    ErrorOnce(failure.what(), draft.pointer, failure.what());
    return false;
  }
  return true;
}

const DraftCompleter::ModelFacts& DraftCompleter::FactsOf(RunDraft& draft) {
  std::string key = draft.Text("model");
  for (const char* field : kModelFields) {
    DeriveIfWanted(RunFieldIndex(field), draft);
    key += " " + draft.Value(field).dump();
  }
  const auto known = facts_.find(key);
  if (known != facts_.end()) return known->second;
  const ModelSpec model = ModelOf(draft);
  TokenReductionSpec reduction;
  if (draft.Value("patch_mask").is_string()) reduction.patch_mask = draft.Text("patch_mask");
  if (draft.Value("patch_dropout").is_number())
    reduction.patch_dropout = draft.Number("patch_dropout");
  const ModelFacts facts{static_cast<double>(CountParameters(model).total()),
                         CountForwardGmacs(model, reduction).total()};
  return facts_.emplace(std::move(key), facts).first->second;
}

const DraftCompleter::Vocabulary& DraftCompleter::VocabularyOf(const DatasetDefinition& dataset) {
  const bool has_file = !dataset.vocabulary_file.empty();
  Vocabulary& vocabulary =
      vocabularies_[has_file ? dataset.vocabulary_file : dataset.vocabulary_content];
  if (!vocabulary.content.empty()) return vocabulary;
  if (has_file) {
    const std::filesystem::path path = file_.catalog.folder / dataset.vocabulary_file;
    vocabulary.content = ContentIdOfFile(path);
    vocabulary.size = VocabularySize(dataset.tokenizer_kind, path).value_or(0);
  } else {
    vocabulary.content = dataset.vocabulary_content;
  }
  return vocabulary;
}

void DraftCompleter::CheckModelFits(const RunDraft& draft, const DatasetDefinition& dataset) {
  const ModelSpec& model = file_.catalog.models.at(draft.Text("model")).spec;
  const auto check_canvas = [&](const Json& options, const std::string& of) {
    const int64_t canvas = options.value("canvas", FashionScenesOptions().canvas);
    if (canvas == model.vision.image_size) return;
    throw Failure(FailureCode::kUsage,
                  fmt::format("model '{}' reads images of {} pixels, expected the canvas of {}, {}",
                              draft.Text("model"),
                              model.vision.image_size,
                              of,
                              canvas));
  };
  if (dataset.kind == "fashion_scenes") {
    check_canvas(dataset.options, fmt::format("data set '{}'", draft.Text("dataset")));
  }
  for (const NamedEvaluation& evaluation : file_.evaluations) {
    if (evaluation.definition.kind != "fashion_scenes") continue;
    check_canvas(evaluation.definition.options, fmt::format("evaluation '{}'", evaluation.name));
  }
  const int64_t ids = VocabularyOf(dataset).size;
  if (ids <= model.text.vocab_size) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("model '{}' has a vocab_size of {}, expected at least the {} ids of "
                            "data set '{}'",
                            draft.Text("model"),
                            model.text.vocab_size,
                            ids,
                            draft.Text("dataset")));
}

void DraftCompleter::ErrorOnce(const std::string& kind,
                               const std::string& pointer,
                               const std::string& message) {
  if (reported_.insert(pointer + " " + kind).second) reader_.Error(pointer, message);
}

}  // namespace sweep
