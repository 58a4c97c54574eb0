#include "orchestrator/sweep_file/catalog.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/data_options.h"
#include "core/failure.h"
#include "core/files.h"
#include "orchestrator/sweep_file/field_reader.h"
#include "orchestrator/sweep_file/located_json.h"

namespace sweep {
namespace {

template <class T>
std::vector<std::string> KeysOf(const std::map<std::string, T>& map) {
  std::vector<std::string> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

std::vector<std::filesystem::path> JsonFilesIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// What defines things under one data folder, as it is filled file by file.
class Loader {
 public:
  explicit Loader(const std::filesystem::path& folder) { catalog_.folder = folder; }

  Catalog Load() {
    const std::filesystem::path counts = catalog_.folder / "sample_counts.json";
    if (std::filesystem::exists(counts)) LoadCounts(counts);
    for (const auto& file : JsonFilesIn(catalog_.folder / "models")) LoadModels(file);
    for (const auto& file : JsonFilesIn(catalog_.folder / "datasets")) {
      const LocatedJson json = Parse(file);
      const FieldReader reader(json, catalog_, problems_);
      if (auto read = ReadDatasetDefinition(reader, json.value(), ""))
        catalog_.datasets[file.stem()] = std::move(*read);
    }
    for (const auto& file : JsonFilesIn(catalog_.folder / "evaluations")) {
      const LocatedJson json = Parse(file);
      const FieldReader reader(json, catalog_, problems_);
      if (auto read = ReadEvaluationDefinition(reader, json.value(), ""))
        catalog_.evaluations[file.stem()] = std::move(*read);
    }
    problems_.ThrowIfErrors();
    return std::move(catalog_);
  }

 private:
  LocatedJson Parse(const std::filesystem::path& file) {
    LocatedJson json = ParseLocatedJson(ReadNamedFile(file), file.string(), problems_);
    problems_.ThrowIfErrors();
    return json;
  }

  // The object called `name` of a file's document; an empty one where there is none.
  static Json MemberObject(const FieldReader& reader, const Json& document, const char* name) {
    if (!reader.IsObject(document, "", "an object")) return Json::object();
    const auto member = document.find(name);
    if (member == document.end()) return Json::object();
    return reader.IsObject(*member, PointerTo("", name), "an object") ? *member : Json::object();
  }

  void LoadCounts(const std::filesystem::path& file) {
    const LocatedJson json = Parse(file);
    const FieldReader reader(json, catalog_, problems_);
    static const FieldTable kCountFields = {
        {.name = "samples", .type = FieldType::kCount, .required = true, .least = 1},
        {.name = "source", .required = true}};
    const Json counts = MemberObject(reader, json.value(), "counts");
    for (const auto& [name, entry] : counts.items()) {
      const std::string pointer = PointerTo("/counts", name);
      if (!reader.IsObject(entry, pointer, "an object")) continue;
      const Json count = reader.ReadObject(kCountFields, entry, pointer);
      if (count.size() == kCountFields.size())
        catalog_.counts[name] = {count["samples"].get<int64_t>(),
                                 count["source"].get<std::string>()};
    }
  }

  void LoadModels(const std::filesystem::path& file) {
    const LocatedJson json = Parse(file);
    const FieldReader reader(json, catalog_, problems_);
    const Json models = MemberObject(reader, json.value(), "models");
    for (const auto& [name, entry] : models.items()) {
      const std::string pointer = PointerTo("/models", name);
      if (catalog_.models.contains(name))
        reader.Error(pointer, "another file defines this model too");
      if (auto read = ReadModelDefinition(reader, entry, pointer, file.filename().string()))
        catalog_.models[name] = std::move(*read);
    }
    const Json aliases = MemberObject(reader, json.value(), "aliases");
    for (const auto& [alias, name] : aliases.items()) {
      const std::string pointer = PointerTo("/aliases", alias);
      if (!name.is_string() || !catalog_.models.contains(name.get<std::string>())) {
        reader.Reject(name, pointer, "the name of a model");
      } else {
        catalog_.model_aliases[alias] = name.get<std::string>();
      }
    }
  }

  Catalog catalog_;
  ProblemList problems_;
};

// `json` laid over the definition it extends, or as it is; nothing when that is not known.
template <class Definition>
std::optional<Json> Extended(const FieldReader& reader,
                             const Json& json,
                             const std::string& pointer,
                             const std::map<std::string, Definition>& known,
                             const char* what) {
  const auto extends = json.find("extends");
  if (extends == json.end()) return json;
  const std::string at = PointerTo(pointer, "extends");
  const auto base =
      extends->is_string() ? known.find(extends->template get<std::string>()) : known.end();
  if (base == known.end()) {
    const std::string name = extends->is_string() ? extends->template get<std::string>() : "";
    reader.Reject(*extends, at, what, DidYouMean(name, KeysOf(known)));
    return std::nullopt;
  }
  Json merged = base->second.json;
  merged.merge_patch(json);
  merged.erase("extends");
  return merged;
}

// The optional members that a data set's and an evaluation's definition share.
template <class Definition>
void SetCommonMembers(const Json& read, Definition& definition) {
  definition.kind = read.at("kind").template get<std::string>();
  definition.content = read.at("content").template get<std::string>();
  definition.location = read.value("location", "");
  definition.install_hint = read.value("install_hint", "");
  definition.options = read.value("options", Json::object());
  definition.size = read.at("size").template get<int64_t>();
}

// Calls `make` and turns what it throws into a problem at the definition's options.
template <class Make>
bool MakeOptions(const FieldReader& reader, const std::string& pointer, const Make& make) {
  try {
    make();
    return true;
  } catch (const Failure& failure) {
    reader.Error(PointerTo(pointer, "options"), failure.what());
    return false;
  }
}

bool HasRequired(const FieldTable& table, const Json& read) {
  return std::all_of(table.begin(), table.end(), [&](const Field& field) {
    return !field.required || read.contains(field.name);
  });
}

}  // namespace

std::optional<std::string> Catalog::FullModelName(const std::string& name) const {
  if (models.contains(name)) return name;
  const auto alias = model_aliases.find(name);
  return alias == model_aliases.end() ? std::nullopt : std::optional(alias->second);
}

std::vector<std::string> Catalog::ModelNames() const {
  std::vector<std::string> names = KeysOf(models);
  const std::vector<std::string> aliases = KeysOf(model_aliases);
  names.insert(names.end(), aliases.begin(), aliases.end());
  return names;
}

std::vector<std::string> Catalog::DatasetNames() const {
  return KeysOf(datasets);
}

std::vector<std::string> Catalog::EvaluationNames() const {
  return KeysOf(evaluations);
}

Catalog LoadCatalog(const std::filesystem::path& folder) {
  return Loader(folder).Load();
}

std::optional<ModelDefinition> ReadModelDefinition(const FieldReader& reader,
                                                   const Json& json,
                                                   const std::string& pointer,
                                                   const std::string& origin) {
  if (!reader.IsObject(json, pointer, "an object with a model's dimensions")) return std::nullopt;
  auto merged = Extended(reader, json, pointer, reader.catalog().models, "the name of a model");
  if (!merged) return std::nullopt;
  try {
    return ModelDefinition{ParseModelSpec(*merged, "model"), origin, *merged};
  } catch (const Failure& failure) {
    reader.Error(pointer, failure.what());
    return std::nullopt;
  }
}

std::optional<DatasetDefinition> ReadDatasetDefinition(const FieldReader& reader,
                                                       const Json& json,
                                                       const std::string& pointer) {
  if (!reader.IsObject(json, pointer, "an object that defines a data set")) return std::nullopt;
  auto merged =
      Extended(reader, json, pointer, reader.catalog().datasets, "the name of a data set");
  if (!merged) return std::nullopt;
  const Json read = reader.ReadObject(DatasetFields(), *merged, pointer);
  if (!HasRequired(DatasetFields(), read)) return std::nullopt;
  const std::string tokenizer_pointer = PointerTo(pointer, "tokenizer");
  const Json tokenizer = reader.ReadObject(TokenizerFields(), read["tokenizer"], tokenizer_pointer);
  if (tokenizer.contains("file") == tokenizer.contains("content")) {
    reader.Error(tokenizer_pointer,
                 "expected the vocabulary's file or its content, one of the two");
  }
  if (!HasRequired(TokenizerFields(), tokenizer)) return std::nullopt;
  DatasetDefinition definition;
  SetCommonMembers(read, definition);
  definition.tokenizer_kind = tokenizer["kind"].get<std::string>();
  definition.vocabulary_file = tokenizer.value("file", "");
  definition.vocabulary_content = tokenizer.value("content", "");
  definition.parts_of_speech_file = tokenizer.value("parts_of_speech", "");
  const bool options_fit = MakeOptions(reader, pointer, [&] {
    if (!IsBuiltInKind(definition.kind)) return;
    definition.options = CanonicalDataOptions(definition.kind, definition.options, "options");
  });
  if (!options_fit) return std::nullopt;
  if (IsBuiltInKind(definition.kind) &&
      definition.size > MostPairs(definition.kind, definition.options)) {
    reader.Error(PointerTo(pointer, "size"),
                 fmt::format("value {}, expected at most {}, the distinct pairs that these options "
                             "have",
                             definition.size,
                             MostPairs(definition.kind, definition.options)));
    return std::nullopt;
  }
  definition.json = std::move(*merged);
  return definition;
}

std::optional<EvaluationDefinition> ReadEvaluationDefinition(const FieldReader& reader,
                                                             const Json& json,
                                                             const std::string& pointer) {
  if (!reader.IsObject(json, pointer, "the name of an evaluation or an object that defines one"))
    return std::nullopt;
  auto merged =
      Extended(reader, json, pointer, reader.catalog().evaluations, "the name of an evaluation");
  if (!merged) return std::nullopt;
  const Json read = reader.ReadObject(EvaluationFields(), *merged, pointer);
  if (!HasRequired(EvaluationFields(), read)) return std::nullopt;
  EvaluationDefinition definition;
  SetCommonMembers(read, definition);
  definition.task = read["task"].get<std::string>();
  const bool options_fit = MakeOptions(reader, pointer, [&] {
    if (!IsBuiltInKind(definition.kind)) return;
    definition.options =
        CanonicalEvaluationOptions(definition.task, definition.kind, definition.options, "options");
  });
  if (!options_fit) return std::nullopt;
  definition.json = std::move(*merged);
  return definition;
}

}  // namespace sweep
