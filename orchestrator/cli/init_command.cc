#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/data_files.h"
#include "orchestrator/sweep_file/field.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

struct InitOptions {
  std::string sweep_template = "quickstart";
  std::string output;
  bool list = false;
};

struct Template {
  std::string name;
  fs::path path;
  Json document;
};

// The shipped sweep files.
std::vector<Template> Templates() {
  std::vector<Template> templates;
  for (const auto& entry : fs::directory_iterator(DataPath(""))) {
    if (entry.path().extension() != ".json") continue;
    Json document = ReadJsonFile(entry.path().string());
    if (!document.is_object() || !document.contains("version")) continue;
    templates.push_back({entry.path().stem().string(), entry.path(), std::move(document)});
  }
  std::sort(templates.begin(), templates.end(), [](const Template& a, const Template& b) {
    return a.name < b.name;
  });
  return templates;
}

Template Find(const std::string& name) {
  std::vector<std::string> names;
  for (const Template& candidate : Templates()) {
    if (candidate.name == name) return candidate;
    names.push_back(candidate.name);
  }
  throw Failure(FailureCode::kUsage,
                fmt::format("template '{}' is not known, expected {}{}",
                            name,
                            ListOfNames(names),
                            DidYouMean(name, names)));
}

// The shipped text with its schema found from the new place too.
std::string StarterText(const Template& chosen) {
  std::string text = ReadFile(chosen.path);
  const std::string shipped = "\"schema/sweep.schema.json\"";
  if (const size_t at = text.find(shipped); at != std::string::npos) {
    const fs::path schema = fs::absolute(DataPath("schema/sweep.schema.json"));
    text.replace(at, shipped.size(), Json(schema.string()).dump());
  }
  return text;
}

std::string FieldLines(const Json& object, const FieldTable& table, const std::string& section) {
  std::string lines;
  for (const Field& field : table) {
    const auto member = object.find(field.name);
    if (member == object.end()) continue;
    lines += fmt::format("- `{}{}`: {}{}\n",
                         section,
                         field.name,
                         field.doc,
                         field.unit.empty() ? "" : fmt::format(" In {}.", field.unit));
  }
  return lines;
}

// JSON has no comments, so what the fields mean stands beside it.
std::string ReadmeText(const Template& chosen, const std::string& file) {
  const Json& document = chosen.document;
  std::string text = fmt::format("# {}\n\n{}\n\n", file, document.value("description", ""));
  text += fmt::format(
      "    sweep validate {0}   # everything that is wrong with it\n"
      "    sweep plan {0}       # the runs, before anything is started\n"
      "    sweep run {0}        # train, evaluate, fit; stop it and start it again at will\n\n",
      file);
  text += "What its members mean (docs/sweep_file.md has all there are):\n\n";
  text += FieldLines(document, DocumentFields(), "");
  for (const char* section : {"grid", "fixed", "derive"}) {
    if (!document.contains(section)) continue;
    text += FieldLines(document[section], RunFields(), std::string(section) + "/");
  }
  if (document.contains("executor"))
    text += FieldLines(document["executor"], ExecutorFields(), "executor/");
  if (document.contains("trainer"))
    text += FieldLines(document["trainer"], TrainerFields(), "trainer/");
  return text;
}

void WriteNew(const fs::path& path, const std::string& text) {
  if (PublishFileOnce(path, text)) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("{} is there already and stays as it is; choose another name with "
                            "--output",
                            path.string()));
}

int List(const GlobalOptions& global) {
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Template& known : Templates()) {
    const std::string description = known.document.value("description", "");
    list.push_back({{"template", known.name}, {"description", description}});
    rows.push_back({known.name, description.substr(0, description.find_first_of(":.,("))});
  }
  if (global.json) {
    Print("{}\n", Json{{"schema", "sweep.templates/1"}, {"templates", list}}.dump(1));
  } else {
    Print("{}", FormatTable({"template", "description"}, rows));
  }
  return 0;
}

int Init(const GlobalOptions& global, const InitOptions& options) {
  if (options.list) return List(global);
  const Template chosen = Find(options.sweep_template);
  const fs::path file = options.output.empty() ? chosen.name + ".json" : options.output;
  const fs::path readme = fs::path(file).replace_extension(".md");
  if (fs::exists(readme))
    WriteNew(readme, "");  // says that it is there, before anything is written
  WriteNew(file, StarterText(chosen));
  WriteNew(readme, ReadmeText(chosen, file.filename().string()));
  if (global.json) {
    const Json files = {file.string(), readme.string()};
    Print("{}\n", Json{{"schema", "sweep.init/1"}, {"files", files}}.dump(1));
  } else {
    Print("{}\n{}\n", file.string(), readme.string());
    Tell("Now: sweep plan {}\n", file.string());
  }
  return 0;
}

}  // namespace

void AddInitCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<InitOptions>();
  CLI::App* command =
      app.add_subcommand("init", "Write a sweep file to start from, with a page that explains it");
  command->footer(
      "Example:\n  sweep init quickstart --output my_sweep.json\n  sweep init --list\n\n"
      "Nothing is ever overwritten.");
  command->add_option("template", options->sweep_template, "Which shipped sweep file to start from")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "File to write (default: TEMPLATE.json)");
  command->add_flag("--list", options->list, "List the templates and stop");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Init(global, *options); };
  });
}

}  // namespace sweep
