#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "core/failure.h"
#include "core/output.h"
#include "core/process_setup.h"
#include "trainer/attempt.h"
#include "trainer/bench.h"
#include "trainer/device.h"
#include "trainer/shard_commands.h"
#include "trainer/stop_signals.h"
#include "trainer/version.h"

namespace {

constexpr const char* kDescription =
    "Trains one run and makes its evaluations: whatever RUN_DIR (docs/run_directory.md) still "
    "lacks.\nUsually started by `sweep run`.";
constexpr const char* kFooter =
    "Examples:\n"
    "  clip_train sweep-store/runs/88789fcd4a99ce3775f5a7d1db043d0f 1\n"
    "  clip_train bench --model sweeps/models/scenes.json --name scenes-m --precision bf16\n"
    "  clip_train make_shards --table captions.tsv shards\n"
    "  clip_train index_shards index 'cc12m/{00000..01242}.tar' 'laion/{000..999}.tar'\n";

struct CommandLine {
  std::string run_directory;
  int64_t attempt = 0;
  sweep::BenchOptions bench;
  sweep::MakeShardsOptions make_shards;
  sweep::IndexCommandOptions index_shards;
};

CLI::App* AddMakeShards(CLI::App& app, sweep::MakeShardsOptions& options) {
  CLI::App* make = app.add_subcommand("make_shards", "Packs images and captions into tar shards");
  auto* from = make->add_option_group("from", "Where the pairs come from, one of these");
  from->add_option("--table", options.table, "CSV or TSV file with paths and captions");
  from->add_option("--folder", options.folder, "Folder of images with .txt files beside them");
  from->add_option("--fashion-scenes", options.fashion_scenes, "Folder of Fashion-MNIST");
  from->require_option(1);
  make->add_option("--image-column", options.image_column, "Column of the paths")
      ->capture_default_str();
  make->add_option("--caption-column", options.caption_column, "Column of the captions")
      ->capture_default_str();
  make->add_option("--content", options.content, "Content id of the Fashion-MNIST in use");
  make->add_option("--canvas", options.canvas, "Side of fashion_scenes' images, pixels")
      ->capture_default_str();
  make->add_option("--count", options.count, "Pairs of fashion_scenes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  make->add_option("--per-shard", options.per_shard, "Pairs a shard")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  make->add_option("--threads", options.threads, "Threads that look at images and read shards")
      ->check(CLI::PositiveNumber);
  make->add_option("OUTPUT", options.output, "Folder for the shards and their index")->required();
  return make;
}

CLI::App* AddIndexShards(CLI::App& app, sweep::IndexCommandOptions& options) {
  CLI::App* index = app.add_subcommand("index_shards", "Makes the index that training reads");
  index->add_option("OUTPUT", options.output, "Folder to make, the index")->required();
  index
      ->add_option(
          "SOURCES",
          options.sources,
          "Tar files as patterns like 'a/{00000..00099}.tar', several of one source joined "
          "by ::; each further one is a source with a weight of its own")
      ->required();
  auto* classes = index->add_option(
      "--classes", options.classes, "Names of classes, one a line: the set is an evaluation");
  index->add_option("--templates", options.templates, "Prompts, one a line, {} for the name")
      ->needs(classes);
  classes->needs("--templates");
  index->add_option("--threads", options.threads, "Shards read at once")
      ->check(CLI::PositiveNumber);
  return index;
}

CLI::App* AddBench(CLI::App& app, sweep::BenchOptions& options) {
  CLI::App* bench = app.add_subcommand("bench", "Measures training speed on synthetic data");
  bench->add_option("--model", options.model_file, "File with the model's definition")->required();
  bench->add_option("--name", options.model_name, "Which of the file's `models`");
  bench->add_option("--precision", options.precision, "fp32, bf16, fp16 or tf32")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "tf32"}));
  bench->add_option("--device", options.device, "auto, cpu or cuda");
  bench
      ->add_option("--text-tokens",
                   options.text_tokens,
                   "Least and most tokens of a text, drawn evenly; all texts are full without it")
      ->type_name("LEAST MOST");
  bench->add_option("--batch", options.batch_size, "Pairs a step");
  bench->add_option("--micro-batch", options.micro_batch, "Pairs encoded at a time; 0: all");
  bench->add_option("--recompute", options.recompute, "none, cheap or blocks");
  bench->add_option("--processes", options.processes, "That share every batch");
  bench->add_option("--sharding", options.sharding, "none, optimizer or weights");
  bench->add_option(
      "--bucket-bytes", options.bucket_bytes, "Gradients are summed in pieces of this size");
  bench->add_flag("--cuda-graphs", options.cuda_graphs, "Record a step on the GPU and repeat it");
  bench->add_option("--threads", options.threads, "CPU threads of each process");
  bench->add_option("--warmup", options.warmup_steps, "Steps before measuring");
  bench->add_option("--seconds", options.seconds, "Measure at least this long");
  return bench;
}

int Run(int argc, char** argv) {
  CommandLine line;
  CLI::App app(kDescription, "clip_train");
  app.footer(kFooter);
  app.set_version_flag("--version", sweep::kProgramVersion);
  auto* directory = app.add_option("RUN_DIR", line.run_directory, "Folder of the run");
  auto* attempt = app.add_option("ATTEMPT", line.attempt, "Number of the attempt");
  const CLI::App* bench = AddBench(app, line.bench);
  const CLI::App* make_shards = AddMakeShards(app, line.make_shards);
  const CLI::App* index_shards = AddIndexShards(app, line.index_shards);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty() && (directory->empty() || attempt->empty()))
      throw CLI::RequiredError("RUN_DIR and ATTEMPT");
  } catch (const CLI::ParseError& error) {
    std::ostringstream help;
    std::ostringstream mistake;
    const int code = app.exit(error, help, mistake);
    sweep::PrintText(help.str());
    sweep::TellText(mistake.str());
    sweep::FinishOutput();
    return code == 0 ? 0 : static_cast<int>(sweep::FailureCode::kUsage);
  }
  if (app.get_subcommands().empty()) {
    sweep::RunAttempt(line.run_directory, line.attempt, argv);
    return 0;
  }
  sweep::UnblockStopSignals();
  if (bench->parsed()) sweep::RunBench(line.bench, argv);
  if (make_shards->parsed()) sweep::RunMakeShards(line.make_shards);
  if (index_shards->parsed()) sweep::RunIndexShards(line.index_shards);
  sweep::FinishOutput();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sweep::PrepareProcess();
  sweep::BlockStopSignals();
  sweep::KeepFreedMemory();
  sweep::FlushSubnormals();
  try {
    return Run(argc, argv);
  } catch (const sweep::Failure& failure) {
    if (failure.code() != sweep::FailureCode::kOutputClosed)
      sweep::Tell("clip_train: {}\n", failure.what());
    return failure.exit_code();
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr,
                 "clip_train: cannot use %s: %s\n",
                 error.path1().c_str(),
                 error.code().message().c_str());
    return static_cast<int>(sweep::FailureCode::kUsage);
  } catch (const std::exception& error) {
    // Of LibTorch's messages the first line; the others are a backtrace.
    const std::string message = error.what();
    const std::string line = message.substr(0, message.find('\n'));
    std::fprintf(stderr, "clip_train: internal error: %s\n", line.c_str());
    return static_cast<int>(sweep::FailureCode::kInternal);
  }
}
