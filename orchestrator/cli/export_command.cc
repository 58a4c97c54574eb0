#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct ExportOptions {
  std::string what = "points";
  std::string format = "csv";
  std::string output;
};

const std::map<std::string, std::string>& Exports() {
  static const std::map<std::string, std::string> exports = {
      {"points",
       "SELECT * FROM points ORDER BY curve, task, eval_dataset, metric, compute_gmacs, run"},
      {"runs", "SELECT * FROM run_status ORDER BY sweep, position"},
      {"steps", "SELECT * FROM training_steps ORDER BY run_id, attempt, seq"},
      {"transitions", "SELECT * FROM transitions ORDER BY transition_id"},
      {"attempts", "SELECT * FROM attempts ORDER BY run_id, attempt"},
      {"evaluations",
       "SELECT run_id, eval_id, segment_samples_seen, task, eval_dataset, seconds, "
       "eval_id NOT IN (SELECT eval_id FROM unchecked_evaluations) AS checked "
       "FROM evaluations ORDER BY run_id, eval_id"},
  };
  return exports;
}

int Export(const GlobalOptions& global, const ExportOptions& options) {
  const Store store(global.store, Store::Access::kRead);
  const QueryTable table = store.Query(Exports().at(options.what));
  const bool json_lines = options.format == "jsonl" || global.json;
  const std::string text = json_lines ? FormatJsonLines(table) : FormatCsv(table);
  if (options.output.empty()) {
    PrintText(text);
  } else {
    WriteFileAtomic(std::filesystem::absolute(options.output), text);
    Tell("{} rows written to {}\n", table.rows.size(), options.output);
  }
  return 0;
}

}  // namespace

void AddExportCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command =
      app.add_subcommand("export", "Write the store's content as CSV or JSON lines");
  command->footer(
      "Example:\n"
      "  sweep export > points.csv              one row a measurement, with its coordinates\n"
      "  sweep export runs --format jsonl\n"
      "  sweep export steps -o losses.csv       the loss curves");
  std::vector<std::string> names;
  for (const auto& [name, sql] : Exports()) names.push_back(name);
  command
      ->add_option(
          "what", options->what, "points, runs, steps, transitions, attempts or evaluations")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  command->add_option("--format", options->format, "csv or jsonl")
      ->check(CLI::IsMember({"csv", "jsonl"}))
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "File to write instead of stdout");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Export(global, *options); };
  });
}

}  // namespace sweep
