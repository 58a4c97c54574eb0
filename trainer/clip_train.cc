#include <CLI/CLI.hpp>
#include <cstdio>

#include "core/failure.h"
#include "trainer/attempt.h"
#include "trainer/bench.h"
#include "trainer/device.h"
#include "trainer/version.h"

namespace {

constexpr const char* kDescription =
    "Trains one run and makes its evaluations: whatever RUN_DIR (docs/run_directory.md) still "
    "lacks.\nUsually started by `sweep run`.";
constexpr const char* kFooter =
    "Examples:\n"
    "  clip_train sweep-store/runs/88789fcd4a99ce3775f5a7d1db043d0f 1\n"
    "  clip_train bench --model sweeps/models/scenes.json --name scenes-m --precision bf16\n";

struct CommandLine {
  std::string run_directory;
  int64_t attempt = 0;
  sweep::BenchOptions bench;
};

CLI::App* AddBench(CLI::App& app, sweep::BenchOptions& options) {
  CLI::App* bench = app.add_subcommand("bench", "Measures training speed on synthetic data");
  bench->add_option("--model", options.model_file, "File with the model's definition")->required();
  bench->add_option("--name", options.model_name, "Which of the file's `models`");
  bench->add_option("--precision", options.precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  bench->add_option("--device", options.device, "auto, cpu or cuda");
  bench->add_option("--batch", options.batch_size, "Pairs a step");
  bench->add_option("--micro-batch", options.micro_batch, "Pairs encoded at a time; 0: all");
  bench->add_option("--recompute", options.recompute, "none, cheap or blocks");
  bench->add_option("--threads", options.threads, "CPU threads");
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
  try {
    app.parse(argc, argv);
    if (!bench->parsed() && (directory->empty() || attempt->empty()))
      throw CLI::RequiredError("RUN_DIR and ATTEMPT");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(sweep::FailureCode::kUsage);
  }
  if (bench->parsed()) {
    sweep::RunBench(line.bench);
  } else {
    sweep::RunAttempt(line.run_directory, line.attempt, argv);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sweep::KeepFreedMemory();
  try {
    return Run(argc, argv);
  } catch (const sweep::Failure& failure) {
    std::fprintf(stderr, "clip_train: %s\n", failure.what());
    return failure.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "clip_train: internal error: %s\n", error.what());
    return static_cast<int>(sweep::FailureCode::kInternal);
  }
}
