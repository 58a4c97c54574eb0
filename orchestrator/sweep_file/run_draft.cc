#include "orchestrator/sweep_file/run_draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/compute.h"
#include "core/data_options.h"
#include "core/failure.h"
#include "core/hash.h"

namespace sweep {
namespace {

void Set(RunDraft& draft, size_t field, Json value, ValueOrigin origin) {
  draft.values[field] = std::move(value);
  draft.origins[field] = origin;
}

// Of every run field; null where there is none.
std::vector<Json> DefaultValues() {
  std::vector<Json> values;
  for (const Field& field : RunFields()) {
    values.push_back(field.fallback.empty() ? Json() : Json::parse(field.fallback));
  }
  return values;
}

bool Matches(const Exclusion& exclusion, const RunDraft& draft) {
  return std::all_of(exclusion.fields.begin(), exclusion.fields.end(), [&](const GridAxis& any_of) {
    const Json& value = draft.values[any_of.field];
    return std::find(any_of.values.begin(), any_of.values.end(), value) != any_of.values.end();
  });
}

OptimizerSpec OptimizerOf(const RunDraft& draft) {
  OptimizerSpec optimizer;
  optimizer.learning_rate = draft.Number("learning_rate");
  optimizer.beta1 = draft.Number("beta1");
  optimizer.beta2 = draft.Number("beta2");
  optimizer.eps = draft.Number("eps");
  optimizer.weight_decay = draft.Number("weight_decay");
  optimizer.grad_clip_norm = draft.Number("grad_clip_norm");
  return optimizer;
}

}  // namespace

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

DraftMaker::DraftMaker(const SweepFile& file, ProblemList& problems)
    : file_(file),
      reader_(file.source, file.catalog, problems),
      exclusion_matched_(file.rules.exclude.size(), false) {}

std::vector<RunDraft> DraftMaker::Make() {
  std::vector<RunDraft> drafts;
  AddGridDrafts(drafts);
  if (file_.rules.generate && file_.rules.generate->budget_gmacs) {
    KeepToBudget(*file_.rules.generate->budget_gmacs, drafts);
  }
  for (RunDraft& draft : IncludedDrafts()) {
    if (Complete(draft)) drafts.push_back(std::move(draft));
  }
  for (size_t i = 0; i < exclusion_matched_.size(); ++i) {
    if (exclusion_matched_[i]) continue;
    reader_.Warn(file_.rules.exclude[i].pointer, "excludes nothing: no grid run has these values");
  }
  return drafts;
}

RunDraft DraftMaker::Start(const std::string& pointer) const {
  RunDraft draft;
  draft.values.resize(RunFields().size());
  draft.origins.resize(RunFields().size(), ValueOrigin::kAbsent);
  draft.pointer = pointer;
  for (const GivenValue& given : file_.rules.fixed) {
    Set(draft, given.field, given.value, ValueOrigin::kGiven);
  }
  return draft;
}

RunDraft DraftMaker::GridDraft(const RunDraft& start, size_t number) const {
  RunDraft draft = start;
  for (const GridAxis& axis : file_.rules.grid) {
    Set(draft, axis.field, axis.values[number % axis.values.size()], ValueOrigin::kGiven);
    number /= axis.values.size();
  }
  if (!generated_.empty()) {
    const GeneratedPoint& point = generated_[number];
    Set(draft, RunFieldIndex("model"), point.model, ValueOrigin::kGiven);
    Set(draft, RunFieldIndex("samples_seen"), point.samples_seen, ValueOrigin::kGiven);
  }
  return draft;
}

void DraftMaker::AddGridDrafts(std::vector<RunDraft>& drafts) {
  size_t size = file_.rules.GridSize();
  std::string pointer = file_.rules.grid.empty() ? "/fixed" : "/grid";
  if (file_.rules.generate) {
    pointer = "/generate";
    generated_ = GeneratePoints(*file_.rules.generate, file_.catalog);
    size *= generated_.size();
  }
  const RunDraft start = Start(pointer);
  if (file_.rules.generate && file_.rules.generate->cooldown_share) {
    AddTrunksAndBranches(start, drafts);
    return;
  }
  for (size_t number = 0; number < size; ++number) {
    AddIfWanted(GridDraft(start, number), drafts);
  }
}

void DraftMaker::AddIfWanted(RunDraft draft, std::vector<RunDraft>& drafts) {
  if (Complete(draft) && !Excluded(draft)) drafts.push_back(std::move(draft));
}

void DraftMaker::AddTrunksAndBranches(const RunDraft& start, std::vector<RunDraft>& drafts) {
  std::map<std::string, std::vector<int64_t>> lengths;  // model → ascending
  for (const GeneratedPoint& point : generated_) lengths[point.model].push_back(point.samples_seen);
  generated_.clear();  // combinations below are of the grid's axes alone
  const double share_of_trunk = 1 - *file_.rules.generate->cooldown_share;
  for (const auto& [model, samples] : lengths) {
    for (size_t number = 0; number < file_.rules.GridSize(); ++number) {
      RunDraft trunk = GridDraft(start, number);
      const double longest = std::ceil(static_cast<double>(samples.back()) * share_of_trunk);
      Set(trunk, RunFieldIndex("model"), model, ValueOrigin::kGiven);
      Set(trunk, RunFieldIndex("samples_seen"), static_cast<int64_t>(longest), ValueOrigin::kGiven);
      Set(trunk, RunFieldIndex("schedule"), "constant", ValueOrigin::kGiven);
      if (!Complete(trunk) || Excluded(trunk)) continue;
      drafts.push_back(trunk);
      for (const int64_t length : samples) AddIfWanted(Branch(trunk, length), drafts);
    }
  }
}

// All values are the trunk's, derived ones too, but for what makes it a branch.
RunDraft DraftMaker::Branch(const RunDraft& trunk, int64_t samples) const {
  const double share_of_trunk = 1 - *file_.rules.generate->cooldown_share;
  const auto wanted =
      static_cast<int64_t>(std::ceil(static_cast<double>(samples) * share_of_trunk));
  const int64_t batch = trunk.spec.global_batch_size;
  const int64_t fork = std::min(RealisedSamples(wanted, batch), trunk.spec.samples_seen);
  RunDraft branch = trunk;
  const Json from = {{"samples_seen", trunk.Value("samples_seen")},
                     {"schedule", "constant"},
                     {"warmup_steps", trunk.Value("warmup_steps")},
                     {"start", "scratch"}};
  const auto set = [&](std::string_view field, Json value) {
    Set(branch, RunFieldIndex(field), std::move(value), ValueOrigin::kGiven);
  };
  set("samples_seen", std::max<int64_t>(samples - fork, 1));
  set("schedule", "cosine");
  set("warmup_steps", 0);
  set("start", {{"from", from}, {"at", fork}});
  return branch;
}

void DraftMaker::KeepToBudget(double budget_gmacs, std::vector<RunDraft>& drafts) {
  const auto cost = [&](const RunDraft& draft) {
    return FactsOf(draft.Text("model")).gmacs_per_sample *
           static_cast<double>(draft.spec.samples_seen);
  };
  std::stable_sort(drafts.begin(), drafts.end(), [&](const RunDraft& a, const RunDraft& b) {
    return cost(a) < cost(b);
  });
  double total = 0;
  size_t kept = 0;
  while (kept < drafts.size() && total + cost(drafts[kept]) <= budget_gmacs) {
    total += cost(drafts[kept++]);
  }
  if (kept == drafts.size()) return;
  reader_.Warn(
      "/generate/budget_gmacs",
      fmt::format(
          "{} of {} runs fit; the others, the most expensive, are left out", kept, drafts.size()));
  drafts.erase(drafts.begin() + static_cast<std::ptrdiff_t>(kept), drafts.end());
}

std::vector<RunDraft> DraftMaker::IncludedDrafts() const {
  std::vector<RunDraft> drafts;
  for (const IncludedRun& run : file_.rules.include) {
    RunDraft draft = Start(run.pointer);
    for (const GivenValue& given : run.values) {
      Set(draft, given.field, given.value, ValueOrigin::kGiven);
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

bool DraftMaker::Excluded(const RunDraft& draft) {
  bool excluded = false;
  for (size_t i = 0; i < file_.rules.exclude.size(); ++i) {
    if (!Matches(file_.rules.exclude[i], draft)) continue;
    exclusion_matched_[i] = true;
    excluded = true;
  }
  return excluded;
}

bool DraftMaker::Complete(RunDraft& draft) {
  for (const DerivedField& derived : file_.rules.derive) {
    if (draft.origins[derived.field] == ValueOrigin::kAbsent && !Derive(derived, draft))
      return false;
  }
  return SetDefaults(draft) && SetDataScale(draft) && MakeSpec(draft);
}

bool DraftMaker::Derive(const DerivedField& derived, RunDraft& draft) {
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
  Set(draft,
      derived.field,
      field.type == FieldType::kCount ? Json(static_cast<int64_t>(value)) : Json(value),
      ValueOrigin::kDerived);
  return true;
}

// The value of a name in an expression; other derived fields are computed on the way. That this
// ends has been checked when the file was read.
double DraftMaker::Lookup(const std::string& name, RunDraft& draft) {
  if (name == "steps") {
    return std::ceil(Lookup("samples_seen", draft) / Lookup("global_batch_size", draft));
  }
  if (name == "params" || name == "gmacs_per_sample") {
    const Json& model = draft.Value("model");
    if (!model.is_string()) throw Failure(FailureCode::kUsage, "needs a model to compute " + name);
    const ModelFacts& facts = FactsOf(model.get<std::string>());
    return name == "params" ? facts.params : facts.gmacs_per_sample;
  }
  const size_t index = RunFieldIndex(name);
  for (const DerivedField& derived : file_.rules.derive) {
    const bool wanted = derived.field == index && draft.origins[index] == ValueOrigin::kAbsent;
    if (wanted && !Derive(derived, draft)) {
      throw Failure(FailureCode::kUsage, fmt::format("needs '{}', which cannot be derived", name));
    }
  }
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

bool DraftMaker::SetDefaults(RunDraft& draft) {
  static const std::vector<Json> kDefaults = DefaultValues();
  bool complete = true;
  for (size_t i = 0; i < RunFields().size(); ++i) {
    const Field& field = RunFields()[i];
    if (draft.origins[i] != ValueOrigin::kAbsent) continue;
    if (!kDefaults[i].is_null()) {
      Set(draft, i, kDefaults[i], ValueOrigin::kDefault);
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

bool DraftMaker::SetDataScale(RunDraft& draft) {
  const size_t index = RunFieldIndex("data_scale");
  const int64_t size = file_.catalog.datasets.at(draft.Text("dataset")).size;
  if (draft.origins[index] == ValueOrigin::kAbsent) {
    Set(draft, index, size, ValueOrigin::kDefault);
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

bool DraftMaker::MakeSpec(RunDraft& draft) {
  RunSpec& spec = draft.spec;
  const DatasetDefinition& dataset = file_.catalog.datasets.at(draft.Text("dataset"));
  spec.model = file_.catalog.models.at(draft.Text("model")).spec;
  spec.data = {dataset.kind, dataset.content, draft.Count("data_scale"), dataset.options};
  spec.global_batch_size = draft.Count("global_batch_size");
  spec.samples_seen = RealisedSamples(draft.Count("samples_seen"), spec.global_batch_size);
  spec.optimizer = OptimizerOf(draft);
  spec.schedule = {draft.Text("schedule"), draft.Count("warmup_steps")};
  spec.precision = draft.Text("precision");
  spec.seed = draft.Count("seed");
  const std::string origin = fmt::format("run with {}", draft.Describe());
  try {
    spec.tokenizer = {dataset.tokenizer_kind, VocabularyOf(dataset).content};
    CheckModelFits(draft, dataset);
    ValidateRunSpec(spec, origin);
  } catch (const Failure& failure) {
    ErrorOnce(failure.what(), draft.pointer, failure.what());
    return false;
  }
  return true;
}

const DraftMaker::ModelFacts& DraftMaker::FactsOf(const std::string& model) {
  const auto known = facts_.find(model);
  if (known != facts_.end()) return known->second;
  const ModelSpec& spec = file_.catalog.models.at(model).spec;
  const ModelFacts facts{static_cast<double>(CountParameters(spec).total()),
                         CountForwardGmacs(spec).total()};
  return facts_.emplace(model, facts).first->second;
}

const DraftMaker::Vocabulary& DraftMaker::VocabularyOf(const DatasetDefinition& dataset) {
  const bool has_file = !dataset.vocabulary_file.empty();
  Vocabulary& vocabulary =
      vocabularies_[has_file ? dataset.vocabulary_file : dataset.vocabulary_content];
  if (!vocabulary.content.empty()) return vocabulary;
  if (has_file) {
    const std::filesystem::path path = file_.catalog.folder / dataset.vocabulary_file;
    vocabulary.content = ContentIdOfFile(path);
    if (dataset.tokenizer_kind == "word") {
      const Json json = ReadJsonFile(path.string());
      if (json.is_object() && json.contains("words")) {
        vocabulary.words = static_cast<int64_t>(json["words"].size());
      }
    }
  } else {
    vocabulary.content = dataset.vocabulary_content;
  }
  return vocabulary;
}

void DraftMaker::CheckModelFits(const RunDraft& draft, const DatasetDefinition& dataset) {
  const ModelSpec& model = draft.spec.model;
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
  const int64_t words = VocabularyOf(dataset).words;
  if (words <= model.text.vocab_size) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("model '{}' has a vocab_size of {}, expected at least the {} words of "
                            "data set '{}'",
                            draft.Text("model"),
                            model.text.vocab_size,
                            words,
                            draft.Text("dataset")));
}

void DraftMaker::ErrorOnce(const std::string& kind,
                           const std::string& pointer,
                           const std::string& message) {
  if (reported_.insert(pointer + " " + kind).second) reader_.Error(pointer, message);
}

}  // namespace sweep
