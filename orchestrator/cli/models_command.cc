#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "core/compute.h"
#include "core/failure.h"
#include "core/json_fields.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct ModelsOptions {
  std::vector<std::string> names;
};

struct ModelRow {
  std::string name;
  std::vector<std::string> aliases;
  ModelSpec spec;
  ParameterCount params;
  ForwardGmacs gmacs;
};

ModelRow MakeRow(const Catalog& catalog, const std::string& name) {
  ModelRow row{name, {}, catalog.models.at(name).spec, {}, {}};
  for (const auto& [alias, full] : catalog.model_aliases) {
    if (full == name) row.aliases.push_back(alias);
  }
  row.params = CountParameters(row.spec);
  row.gmacs = CountForwardGmacs(row.spec);
  return row;
}

std::vector<ModelRow> ChosenRows(const Catalog& catalog, const std::vector<std::string>& names) {
  std::vector<ModelRow> rows;
  for (const std::string& name : names) {
    const auto full = catalog.FullModelName(name);
    if (!full) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("model '{}' is not known, expected {}{}",
                                name,
                                "a name that `sweep models` lists",
                                DidYouMean(name, catalog.ModelNames())));
    }
    rows.push_back(MakeRow(catalog, *full));
  }
  if (!names.empty()) return rows;
  for (const auto& [name, definition] : catalog.models) rows.push_back(MakeRow(catalog, name));
  std::sort(rows.begin(), rows.end(), [](const ModelRow& a, const ModelRow& b) {
    return a.gmacs.total() < b.gmacs.total();
  });
  return rows;
}

std::string WithSeparators(int64_t count) {
  std::string text = std::to_string(count);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

// Two decimals as in the published tables; more digits for models far below them.
std::string Gmacs(double gmacs) {
  return gmacs >= 0.1 ? fmt::format("{:.2f}", gmacs) : fmt::format("{:.3g}", gmacs);
}

void PrintTable(const std::vector<ModelRow>& models) {
  std::vector<std::vector<std::string>> rows;
  for (const ModelRow& model : models) {
    const VisionSpec& v = model.spec.vision;
    const TextSpec& t = model.spec.text;
    rows.push_back({model.name,
                    fmt::format("{}", fmt::join(model.aliases, " ")),
                    std::to_string(v.image_size),
                    std::to_string(v.patch_size),
                    fmt::format("{} x {}", v.width, v.layers),
                    fmt::format("{} x {}", t.width, t.layers),
                    std::to_string(model.spec.embed_dim),
                    WithSeparators(model.params.vision),
                    WithSeparators(model.params.text),
                    WithSeparators(model.params.total()),
                    Gmacs(model.gmacs.vision),
                    Gmacs(model.gmacs.text),
                    Gmacs(model.gmacs.total())});
  }
  Print("{}",
        FormatTable({"model",
                     "alias",
                     "image",
                     "patch",
                     "image tower",
                     "text tower",
                     "embed",
                     "image params",
                     "text params",
                     "params",
                     "image GMACs",
                     "text GMACs",
                     "gmacs_per_sample"},
                    rows));
  Tell(
      "Towers are width x layers. params counts the logit scale too; gmacs_per_sample is one "
      "forward pass of one pair.\n");
}

Json ModelJson(const ModelRow& model) {
  return {{"model", model.name},
          {"aliases", model.aliases},
          {"spec", FieldsToJson(model.spec)},
          {"params", model.params.total()},
          {"image_params", model.params.vision},
          {"text_params", model.params.text},
          {"gmacs_per_sample", model.gmacs.total()},
          {"image_gmacs", model.gmacs.vision},
          {"text_gmacs", model.gmacs.text}};
}

int Models(const GlobalOptions& global, const ModelsOptions& options) {
  const std::vector<ModelRow> rows = ChosenRows(LoadCatalog(DataPath("")), options.names);
  if (global.json) {
    Json models = Json::array();
    for (const ModelRow& row : rows) models.push_back(ModelJson(row));
    Print("{}\n", Json{{"schema", "sweep.models/1"}, {"models", models}}.dump(1));
  } else {
    PrintTable(rows);
  }
  return 0;
}

}  // namespace

void AddModelsCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<ModelsOptions>();
  CLI::App* command = app.add_subcommand(
      "models", "Named models with their exact parameters and multiply-accumulates by tower");
  command->footer("Example:\n  sweep models\n  sweep models B/32 ViT-L-14 --json");
  command->add_option("names", options->names, "Names or aliases (default: all)");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Models(global, *options); };
  });
}

}  // namespace sweep
