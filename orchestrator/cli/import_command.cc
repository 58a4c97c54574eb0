#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/import.h"
#include "orchestrator/recovery.h"

namespace sweep {
namespace {

struct ImportOptions {
  std::vector<std::string> files;
  std::vector<std::string> map;
  std::vector<std::string> set;
  std::vector<std::string> metrics;
};

std::map<std::string, std::string> ParsePairs(const std::vector<std::string>& texts,
                                              const char* option) {
  std::map<std::string, std::string> pairs;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("{} is '{}', expected NAME=VALUE", option, text));
    }
    pairs[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return pairs;
}

struct ReadFile {
  std::string name;
  std::string format;
  std::vector<ImportedPoint> points;
};

ReadFile ReadPoints(const std::string& path, const ImportMapping& mapping) {
  const Table table = ReadCsv(path);
  const bool own_mapping = !mapping.map.empty() || !mapping.metrics.empty();
  switch (own_mapping ? PublicTable::kNone : RecogniseTable(table)) {
    case PublicTable::kZeroshotResults:
      return {path, "scaling-laws-openclip zeroshot_results", ImportZeroshotResults(table)};
    case PublicTable::kTrainedModelsInfo:
      return {path, "scaling-laws-openclip trained_models_info", ImportTrainedModelsInfo(table)};
    case PublicTable::kNone:
      break;
  }
  return {path, "csv", ImportTable(table, mapping)};
}

int Import(const GlobalOptions& global, const ImportOptions& options) {
  const ImportMapping mapping{
      ParsePairs(options.map, "--map"), ParsePairs(options.set, "--set"), options.metrics};
  std::vector<ReadFile> files;  // all are read before anything is written
  for (const std::string& path : options.files) files.push_back(ReadPoints(path, mapping));
  std::vector<ImportedPoint> trainings;
  for (const ReadFile& file : files) {
    for (const ImportedPoint& point : file.points) {
      if (point.task == "training") trainings.push_back(point);
    }
  }
  std::vector<std::string> notes;
  const auto store = OpenForWriting(global.store, notes);
  for (const std::string& note : notes) Tell("{}\n", note);
  Json imported = Json::array();
  for (ReadFile& file : files) {
    FillTrainingSettings(file.points, trainings);
    const size_t count = file.points.size();
    const std::string name = std::filesystem::path(file.name).filename().string();
    const bool is_new = AddImportToStore(*store, name, file.format, std::move(file.points));
    imported.push_back(
        {{"file", file.name}, {"format", file.format}, {"points", count}, {"new", is_new}});
    if (!global.json) {
      Print("{}: {} points ({}){}\n",
            file.name,
            count,
            file.format,
            is_new ? "" : ", imported before: nothing changed");
    }
  }
  if (global.json)
    Print("{}\n", Json{{"schema", "sweep.import_report/1"}, {"imports", imported}}.dump(1));
  return 0;
}

}  // namespace

void AddImportCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* command =
      app.add_subcommand("import", "Take results made elsewhere into the store, from CSV");
  command->footer(
      "Example:\n"
      "  sweep import zeroshot_results.csv trained_models_info.csv      LAION's public tables, as "
      "they are\n"
      "  sweep import mine.csv --map compute_gmacs='\"train FLOPs\"/6e9' --map 'value=1-err' \\\n"
      "               --set curve=mine --set task=zeroshot_classification --set metric=acc1\n"
      "  sweep import wide.csv --metrics acc1,acc5                      a column for each metric\n"
      "Fields: curve run model dataset data_scale samples_seen gmacs_per_sample compute_gmacs "
      "train_flops params\n"
      "        global_batch_size learning_rate seed schedule point_kind task eval_dataset metric "
      "value sample_size");
  command->add_option("files", options->files, "CSV files with a header")->required();
  command
      ->add_option(
          "--map", options->map, "FIELD=COLUMN, or FIELD=EXPRESSION over columns for numbers")
      ->allow_extra_args(false);
  command->add_option("--set", options->set, "FIELD=VALUE for every row")->allow_extra_args(false);
  command->add_option("--metrics", options->metrics, "Columns that are metrics, one point each")
      ->delimiter(',');
  command->callback([&global, &action, options] {
    action = [&global, options] { return Import(global, *options); };
  });
}

}  // namespace sweep
