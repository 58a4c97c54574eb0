#include "orchestrator/sweep_file/sweep_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/files.h"
#include "orchestrator/sweep_file/field_reader.h"

namespace sweep {
namespace {

class Reader {
 public:
  Reader(SweepFile& file, ProblemList& problems)
      : file_(file), reader_(file.source, file.catalog, problems) {}

  void Read() {
    if (!reader_.IsObject(document(), "", "an object, the sweep")) return;
    ReadHead();
    ReadDefinitions();
    file_.rules = ReadRunRules(reader_, document());
    ReadEvaluations();
    ReadCurves();
    ReadFits();
    ReadWorkSettings(reader_, document(), file_.executor, file_.trainer);
    CheckWholeExecutor(reader_, file_.executor);
  }

 private:
  [[nodiscard]] const Json& document() const { return file_.source.value(); }

  // Sections have readers of their own below; here only the plain members are read.
  void ReadHead() {
    Json plain = Json::object();
    for (const auto& [key, value] : document().items()) {
      const size_t index = IndexOfField(DocumentFields(), key);
      const bool is_section =
          index < DocumentFields().size() && DocumentFields()[index].type == FieldType::kObject;
      if (!is_section) plain[key] = value;
    }
    const Json head = reader_.ReadObject(DocumentFields(), plain, "");
    SetIfGiven(head, "name", file_.name);
    SetIfGiven(head, "description", file_.description);
    SetIfGiven(head, "only", file_.only);
    SetIfGiven(head, "chosen_by", file_.chosen_by);
  }

  void ReadDefinitions() {
    if (const Json* models =
            reader_.ObjectMember(document(), "models", "an object of models by name")) {
      for (const auto& [name, json] : models->items()) {
        auto read =
            ReadModelDefinition(reader_, json, PointerTo("/models", name), file_.source.file());
        if (read) file_.catalog.models[name] = std::move(*read);
      }
    }
    if (const Json* datasets =
            reader_.ObjectMember(document(), "datasets", "an object of data sets by name")) {
      for (const auto& [name, json] : datasets->items()) {
        auto read = ReadDatasetDefinition(reader_, json, PointerTo("/datasets", name));
        if (read) file_.catalog.datasets[name] = std::move(*read);
      }
    }
  }

  void ReadEvaluations() {
    const Json* evaluations =
        reader_.ArrayMember(document(), "evaluations", "an array of names or definitions");
    if (evaluations == nullptr) return;
    for (size_t i = 0; i < evaluations->size(); ++i) {
      ReadEvaluation((*evaluations)[i], PointerTo("/evaluations", i));
    }
  }

  void ReadEvaluation(const Json& json, const std::string& pointer) {
    if (json.is_string()) {
      const std::string name = json.get<std::string>();
      const auto known = file_.catalog.evaluations.find(name);
      if (known == file_.catalog.evaluations.end()) {
        reader_.RejectName(
            name, pointer, "the name of an evaluation", file_.catalog.EvaluationNames());
      } else {
        AddEvaluation({name, known->second}, pointer);
      }
      return;
    }
    auto read = ReadEvaluationDefinition(reader_, json, pointer);
    if (!read) return;
    if (!json.contains("name")) {
      reader_.Error(pointer, "field 'name' is missing, expected what its results are called");
      return;
    }
    AddEvaluation({json["name"].get<std::string>(), std::move(*read)}, pointer);
  }

  void AddEvaluation(NamedEvaluation evaluation, const std::string& pointer) {
    for (const NamedEvaluation& other : file_.evaluations) {
      if (other.name == evaluation.name) {
        reader_.Error(pointer, fmt::format("evaluation '{}' is given twice", other.name));
        return;
      }
    }
    file_.evaluations.push_back(std::move(evaluation));
  }

  void ReadCurves() {
    static const Field kCurve = {.name = "curve"};
    const Json* curves =
        reader_.ObjectMember(document(), "curves", "an object from data set to curve");
    if (curves == nullptr) return;
    for (const auto& [dataset, curve] : curves->items()) {
      const std::string pointer = PointerTo("/curves", dataset);
      if (!file_.catalog.datasets.contains(dataset)) {
        reader_.RejectName(
            dataset, pointer, "the name of a data set", file_.catalog.DatasetNames());
      } else if (const auto name = reader_.ReadValue(kCurve, curve, pointer)) {
        file_.curves[dataset] = name->get<std::string>();
      }
    }
  }

  void ReadFits() {
    const Json* fits = reader_.ArrayMember(document(), "fits", "an array of fits");
    if (fits == nullptr) return;
    for (size_t i = 0; i < fits->size(); ++i) ReadFit((*fits)[i], PointerTo("/fits", i));
  }

  void ReadFit(const Json& json, const std::string& pointer) {
    if (!reader_.IsObject(json, pointer, "an object, as {\"law\": \"power\"}")) return;
    const Json read = reader_.ReadObject(FitFields(), json, pointer);
    FitRequest fit;
    SetIfGiven(read, "law", fit.law);
    SetIfGiven(read, "select", fit.select);
    SetIfGiven(read, "residual", fit.residual);
    SetIfGiven(read, "loss", fit.loss);
    SetIfGiven(read, "intervals", fit.intervals);
    SetIfGiven(read, "level", fit.level);
    SetIfGiven(read, "fix", fit.fix);
    SetIfGiven(read, "bounds", fit.bounds);
    SetIfGiven(read, "kind", fit.kind);
    SetIfGiven(read, "curves", fit.curves);
    SetIfGiven(read, "evaluations", fit.evaluations);
    SetIfGiven(read, "metrics", fit.metrics);
    CheckNames(fit.curves, PointerTo(pointer, "curves"), "a curve of this sweep", Curves());
    CheckNames(fit.evaluations,
               PointerTo(pointer, "evaluations"),
               "an evaluation of this sweep",
               Evaluations());
    file_.fits.push_back(std::move(fit));
  }

  void CheckNames(const std::vector<std::string>& names,
                  const std::string& pointer,
                  const std::string& expected,
                  const std::vector<std::string>& known) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (std::find(known.begin(), known.end(), names[i]) != known.end()) continue;
      reader_.RejectName(names[i],
                         PointerTo(pointer, i),
                         fmt::format("{} ({})", expected, ListOfNames(known)),
                         known);
    }
  }

  [[nodiscard]] std::vector<std::string> Evaluations() const {
    std::vector<std::string> names;
    names.reserve(file_.evaluations.size());
    for (const NamedEvaluation& evaluation : file_.evaluations) names.push_back(evaluation.name);
    return names;
  }

  // Curves of all data sets that some run is trained on.
  [[nodiscard]] std::vector<std::string> Curves() const {
    const size_t dataset = IndexOfField(RunFields(), "dataset");
    std::set<std::string> curves;
    const auto add = [&](size_t field, const Json& value) {
      if (field == dataset) curves.insert(file_.CurveOf(value.get<std::string>()));
    };
    for (const GridAxis& axis : file_.rules.grid) {
      for (const Json& value : axis.values) add(axis.field, value);
    }
    for (const GivenValue& given : file_.rules.fixed) add(given.field, given.value);
    for (const IncludedRun& run : file_.rules.include) {
      for (const GivenValue& given : run.values) add(given.field, given.value);
    }
    return {curves.begin(), curves.end()};
  }

  SweepFile& file_;
  FieldReader reader_;
};

}  // namespace

std::string SweepFile::CurveOf(const std::string& dataset) const {
  const auto found = curves.find(dataset);
  return found == curves.end() ? dataset : found->second;
}

SweepFile ParseSweepFile(std::string_view text,
                         const std::filesystem::path& path,
                         const Catalog& catalog,
                         ProblemList& problems,
                         const WorkSettings& defaults) {
  SweepFile file;
  file.executor = defaults.executor;
  file.trainer = defaults.trainer;
  file.profiles = defaults.profiles;
  const size_t errors_before = problems.errors();
  file.source = ParseLocatedJson(text, path.string(), problems);
  file.folder = path.parent_path();
  file.catalog = catalog;
  const bool is_json = problems.errors() == errors_before || !file.source.value().is_null();
  if (is_json) Reader(file, problems).Read();
  return file;
}

SweepFile ReadSweepFile(const std::filesystem::path& path, const Catalog& catalog) {
  ProblemList problems;
  const WorkSettings defaults = ReadProfiles(path.parent_path(), catalog, problems);
  SweepFile file = ParseSweepFile(ReadNamedFile(path), path, catalog, problems, defaults);
  problems.ThrowIfErrors();
  return file;
}

}  // namespace sweep
