#include "trainer/bench.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "core/compute.h"
#include "core/failure.h"
#include "trainer/device.h"
#include "trainer/learner.h"
#include "trainer/matrix_product.h"
#include "trainer/random.h"
#include "trainer/version.h"

namespace sweep {
namespace {

constexpr int64_t kManySteps = 1'000'000;

RunSpec SpecOf(const BenchOptions& options) {
  Json json = ReadJsonFile(options.model_file);
  if (!options.model_name.empty()) {
    if (!json.contains("models") || !json["models"].contains(options.model_name)) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("{}: no model '{}'", options.model_file, options.model_name));
    }
    json = Json(json["models"][options.model_name]);
  }
  RunSpec spec;
  spec.model = ParseModelSpec(json, options.model_file);
  spec.precision = options.precision;
  spec.global_batch_size = options.batch_size;
  spec.samples_seen = options.batch_size * kManySteps;
  spec.optimizer.learning_rate = 1e-4;
  return spec;
}

DeviceBatch SyntheticBatch(const RunSpec& spec, at::Device device) {
  Random random(1);
  const int64_t side = spec.model.vision.image_size;
  const int64_t context = spec.model.text.context_length;
  const int64_t end = spec.model.text.vocab_size - 1;
  std::vector<uint8_t> pixels(static_cast<size_t>(spec.global_batch_size * 3 * side * side));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random.Below(256));
  std::vector<int64_t> tokens(static_cast<size_t>(spec.global_batch_size * context));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool last = (i + 1) % static_cast<size_t>(context) == 0;
    tokens[i] = last ? end : 1 + random.Below(end - 1);
  }
  return {at::from_blob(pixels.data(), {spec.global_batch_size, 3, side, side}, at::kByte)
              .clone()
              .to(device),
          at::from_blob(tokens.data(), {spec.global_batch_size, context}, at::kLong)
              .clone()
              .to(device)};
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Of all threads: what a busy machine cannot distort.
double CpuSeconds() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t PeakMemoryBytes() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

}  // namespace

void RunBench(const BenchOptions& options) {
  using Clock = std::chrono::steady_clock;
  const at::NoGradGuard no_autograd;
  const RunSpec spec = SpecOf(options);
  const at::Device device = ChooseDevice(options.device);
  SetThreads(options.threads);
  SetPrecision(device, options.precision);
  Learner learner(spec, device, StepMemory{options.micro_batch, ParseRecompute(options.recompute)});
  learner.parameters().Initialize(0);
  const DeviceBatch batch = SyntheticBatch(spec, device);
  int64_t step = 0;
  for (; step < options.warmup_steps; ++step) (void)learner.Step(batch, step).item<float>();
  std::vector<double> seconds;
  double total = 0;
  const double cpu_before = CpuSeconds();
  while (total < options.seconds) {
    const auto start = Clock::now();
    (void)learner.Step(batch, step++).item<float>();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += seconds.back();
  }
  const double images =
      static_cast<double>(options.batch_size) * static_cast<double>(seconds.size());
  const double cpu_rate = images / (CpuSeconds() - cpu_before);
  const double rate = static_cast<double>(options.batch_size) / Median(seconds);
  const Json report{{"program", kProgramVersion},
                    {"device", device.str()},
                    {"threads", options.threads},
                    {"precision", options.precision},
                    {"batch_size", options.batch_size},
                    {"micro_batch", options.micro_batch},
                    {"recompute", options.recompute},
                    {"matrix_library", NameOf(CpuMatrixLibrary())},
                    {"steps", seconds.size()},
                    {"images_per_second", rate},
                    {"images_per_cpu_second", cpu_rate},
                    {"model_flops_per_second", rate * TrainFlopsPerSample(spec)},
                    {"peak_memory_bytes", PeakMemoryBytes()}};
  std::printf("%s\n", report.dump().c_str());
}

}  // namespace sweep
