#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/compute.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/data_files.h"
#include "orchestrator/progress.h"
#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/sweep_file/schema.h"

namespace sweep {
namespace {

struct ValidateOptions {
  std::vector<std::string> files;
  bool print_schema = false;
  bool print_fields = false;
};

struct Verdict {
  ProblemList problems;
  std::string name;
  size_t runs = 0;
  double train_flops = 0;  // of the runs' own segments
  double flops_saved = 0;  // by branches that share a trunk
  std::string saving;      // the same for people
};

Verdict Check(const std::string& file, const Catalog& catalog) {
  Verdict verdict;
  const WorkSettings defaults =
      ReadProfiles(std::filesystem::path(file).parent_path(), catalog, verdict.problems);
  const SweepFile sweep_file =
      ParseSweepFile(ReadNamedFile(file), file, catalog, verdict.problems, defaults);
  if (verdict.problems.has_errors()) return verdict;
  const ExpandedSweep sweep = Expand(sweep_file, verdict.problems);
  verdict.name = sweep.name;
  verdict.runs = sweep.runs.size();
  verdict.flops_saved = kTrainFlopsPerGmac * GmacsSavedByBranches(sweep);
  verdict.saving = BranchSavingText(sweep);
  for (const RunRow& run : sweep.runs) {
    verdict.train_flops +=
        kTrainFlopsPerGmac * run.gmacs_per_sample * static_cast<double>(run.spec.samples_seen);
  }
  return verdict;
}

Json ToJson(const std::string& file, const Verdict& verdict) {
  Json problems = Json::array();
  for (const FileProblem& problem : verdict.problems.all()) problems.push_back(ToJson(problem));
  return {{"file", file},
          {"valid", !verdict.problems.has_errors()},
          {"name", verdict.name},
          {"runs", verdict.runs},
          {"train_flops", verdict.train_flops},
          {"train_flops_saved_by_branches", verdict.flops_saved},
          {"problems", problems}};
}

void PrintSummary(const std::string& file, const Verdict& verdict) {
  Print("{}: sweep {}, {} runs, {:.3g} FLOPs of training",
        file,
        verdict.name,
        verdict.runs,
        verdict.train_flops);
  if (!verdict.saving.empty()) Print("; {}", verdict.saving);
  Print("\n");
}

void PrintFields() {
  const std::pair<const char*, const FieldTable&> tables[] = {
      {"The document", DocumentFields()},
      {"A run: grid, fixed, derive, include, exclude", RunFields()},
      {"generate", GenerateFields()},
      {"a range of generate", LogRangeFields()},
      {"evaluations", EvaluationFields()},
      {"datasets", DatasetFields()},
      {"tokenizer of a data set", TokenizerFields()},
      {"fits", FitFields()},
      {"executor", ExecutorFields()},
      {"trainer", TrainerFields()}};
  for (const auto& [title, table] : tables) {
    Print("## {}\n\n{}\n", title, FieldsAsMarkdown(table));
  }
}

int Validate(const GlobalOptions& global, const ValidateOptions& options) {
  if (options.print_schema) {
    Print("{}\n", SweepFileSchema().dump(2));
    return 0;
  }
  if (options.print_fields) {
    PrintFields();
    return 0;
  }
  if (options.files.empty()) {
    throw Failure(FailureCode::kUsage,
                  "validate: expected a sweep file, --print-schema or --print-fields");
  }
  const Catalog catalog = LoadCatalog(DataPath(""));
  Json files = Json::array();
  size_t errors = 0;
  for (const std::string& file : options.files) {
    const Verdict verdict = Check(file, catalog);
    errors += verdict.problems.errors();
    for (const FileProblem& problem : verdict.problems.all()) {
      Tell("{}\n", FormatProblem(problem));
    }
    if (global.json) {
      files.push_back(ToJson(file, verdict));
    } else if (!verdict.problems.has_errors()) {
      PrintSummary(file, verdict);
    }
  }
  if (global.json) Print("{}\n", Json{{"schema", "sweep.validate/1"}, {"files", files}}.dump(1));
  return errors == 0 ? 0 : static_cast<int>(FailureCode::kUsage);
}

}  // namespace

void AddValidateCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<ValidateOptions>();
  CLI::App* command = app.add_subcommand(
      "validate", "Check sweep files and say everything that is wrong with them");
  command->footer(
      "Example:\n  sweep validate my_sweep.json\n"
      "  sweep validate --print-schema > sweep.schema.json\n\n"
      "Exit code 2 when a file has errors. docs/sweep_file.md describes every field.");
  command->add_option("files", options->files, "Sweep files");
  command->add_flag(
      "--print-schema", options->print_schema, "Print the JSON Schema of sweep files and stop");
  command->add_flag(
      "--print-fields", options->print_fields, "Print every field with its default and stop");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Validate(global, *options); };
  });
}

}  // namespace sweep
