#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/model_spec.h"
#include "orchestrator/sweep_file/quantity.h"

namespace sweep {

class FieldReader;

struct ModelDefinition {
  ModelSpec spec;
  std::string origin;  ///< file that defines it
  Json json;           ///< as written: what `extends` builds on
};

struct DatasetDefinition {
  std::string kind;
  std::string content;       ///< identity of the underlying files
  std::string location;      ///< where they lie; empty: not on this machine
  std::string install_hint;  ///< what to do when they do not
  std::string tokenizer_kind;
  std::string vocabulary_file;  ///< relative to the data folder; empty: only its identity is known
  std::string vocabulary_content;    ///< declared identity, when there is no file
  std::string parts_of_speech_file;  ///< relative to the data folder; empty: none
  Json options = Json::object();     ///< canonical: values equal to their defaults left out
  int64_t size = 0;                  ///< distinct pairs there are
  Json json;
};

struct EvaluationDefinition {
  std::string task;
  std::string kind;
  std::string content;
  std::string location;
  std::string install_hint;
  Json options = Json::object();
  int64_t size = 0;  ///< images
  Json json;
};

/// Everything a sweep file can refer to by name.
struct Catalog {
  std::filesystem::path folder;  ///< what relative files of definitions are relative to
  std::map<std::string, ModelDefinition> models;
  std::map<std::string, std::string> model_aliases;  ///< alias → full name
  std::map<std::string, DatasetDefinition> datasets;
  std::map<std::string, EvaluationDefinition> evaluations;
  NamedCounts counts;

  /// The full name of a model given by full name or alias.
  [[nodiscard]] std::optional<std::string> FullModelName(const std::string& name) const;
  /// For messages: every name and alias.
  [[nodiscard]] std::vector<std::string> ModelNames() const;
  [[nodiscard]] std::vector<std::string> DatasetNames() const;
  [[nodiscard]] std::vector<std::string> EvaluationNames() const;
};

/// Reads every definition under a data folder: models/*.json, datasets/*.json, evaluations/*.json
/// and sample_counts.json; what is absent is empty. Throws Failure(kUsage) with every problem.
[[nodiscard]] Catalog LoadCatalog(const std::filesystem::path& folder);

/// Read one definition at `pointer`, its `extends` resolved against the reader's catalog. Nothing,
/// and problems, when it is wrong.
[[nodiscard]] std::optional<ModelDefinition> ReadModelDefinition(const FieldReader& reader,
                                                                 const Json& json,
                                                                 const std::string& pointer,
                                                                 const std::string& origin);
[[nodiscard]] std::optional<DatasetDefinition> ReadDatasetDefinition(const FieldReader& reader,
                                                                     const Json& json,
                                                                     const std::string& pointer);
[[nodiscard]] std::optional<EvaluationDefinition> ReadEvaluationDefinition(
    const FieldReader& reader, const Json& json, const std::string& pointer);

}  // namespace sweep
