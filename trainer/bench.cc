#include "trainer/bench.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/compute.h"
#include "core/failure.h"
#include "core/output.h"
#include "trainer/device.h"
#include "trainer/learner.h"
#include "trainer/matrix_product.h"
#include "trainer/process_group.h"
#include "trainer/random.h"
#include "trainer/version.h"

namespace sweep {
namespace {

constexpr int64_t kManySteps = 1'000'000;

void CheckLeast(const char* option, int64_t value, int64_t least) {
  if (value >= least) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("{} is {}, expected at least {}", option, value, least));
}

// Before any process is started or a tensor made.
void CheckOptions(const BenchOptions& options) {
  CheckLeast("--batch", options.batch_size, 1);
  CheckLeast("--micro-batch", options.micro_batch, 0);
  CheckLeast("--processes", options.processes, 1);
  CheckLeast("--threads", options.threads, 1);
  CheckLeast("--warmup", options.warmup_steps, 0);
  CheckLeast("--bucket-bytes", options.bucket_bytes, 1);
  if (options.batch_size % options.processes != 0) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--processes is {}, expected a divisor of --batch, {}",
                              options.processes,
                              options.batch_size));
  }
  if (options.device != "auto" && options.device != "cpu" && options.device != "cuda") {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--device is '{}', expected auto, cpu or cuda", options.device));
  }
}

// One definition, or that of `model_name` among a file's `models`.
Json DefinitionOf(const BenchOptions& options) {
  const Json json = ReadJsonFile(options.model_file);
  const bool many = json.is_object() && json.contains("models") && json["models"].is_object();
  if (!many && options.model_name.empty()) return json;
  if (many && json["models"].contains(options.model_name))
    return json["models"][options.model_name];
  std::string names;
  if (many) {
    for (const auto& [name, definition] : json["models"].items())
      names += (names.empty() ? "" : ", ") + name;
  }
  throw Failure(FailureCode::kUsage,
                fmt::format("{}: {}; it has {}",
                            options.model_file,
                            options.model_name.empty()
                                ? std::string("--name is missing")
                                : fmt::format("no model '{}' (--name)", options.model_name),
                            many ? names : "one definition without a name"));
}

RunSpec SpecOf(const BenchOptions& options) {
  RunSpec spec;
  spec.model = ParseModelSpec(DefinitionOf(options), options.model_file);
  spec.precision = options.precision;
  spec.global_batch_size = options.batch_size;
  spec.samples_seen = options.batch_size * kManySteps;
  spec.optimizer.learning_rate = 1e-4;
  return spec;
}

at::Tensor SyntheticTexts(const RunSpec& spec, const BenchOptions& options, Random& random) {
  const int64_t context = spec.model.text.context_length;
  const int64_t end = spec.model.text.vocab_size - 1;
  auto [least, most] = options.text_tokens;
  if (most == 0) least = most = context;
  if (least < 1 || least > most || most > context)
    throw Failure(
        FailureCode::kUsage,
        fmt::format("texts of {} to {} tokens do not fit a context of {}", least, most, context));
  at::Tensor tokens_BT = at::zeros({spec.global_batch_size, context}, at::kLong);
  auto token = tokens_BT.accessor<int64_t, 2>();
  for (int64_t b = 0; b < spec.global_batch_size; ++b) {
    const int64_t length = least + random.Below(most - least + 1);
    for (int64_t t = 0; t + 1 < length; ++t) token[b][t] = 1 + random.Below(end - 1);
    token[b][length - 1] = end;
  }
  return tokens_BT;
}

DeviceBatch SyntheticBatch(const RunSpec& spec, const BenchOptions& options, at::Device device) {
  Random random(1);
  const int64_t side = spec.model.vision.image_size;
  at::Tensor images_BCSS = at::empty({spec.global_batch_size, 3, side, side}, at::kByte);
  for (uint8_t& pixel :
       std::span(images_BCSS.mutable_data_ptr<uint8_t>(), static_cast<size_t>(images_BCSS.numel())))
    pixel = static_cast<uint8_t>(random.Below(256));
  return {images_BCSS.to(device), SyntheticTexts(spec, options, random)};
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

// The processes that measure together; none where there is one.
class BenchPeers {
 public:
  BenchPeers(int64_t processes, const std::string& device, char* const* argv) {
    if (processes == 1) return;
    const Rank rank = FindRank(processes);
    // All know rank 0's number: it has started the others.
    const pid_t common = rank.starts_others ? ::getpid() : ::getppid();
    if (rank.starts_others) others_.emplace(argv, processes);
    peers_ = JoinPeers(
        std::filesystem::temp_directory_path() / fmt::format("clip_train-bench.{}", common),
        rank,
        ChooseDevice(device, rank.local_rank));
  }
  [[nodiscard]] Peers* get() const { return peers_.get(); }

 private:
  std::optional<LocalPeers> others_;
  std::unique_ptr<Peers> peers_;
};

DeviceBatch ShareOf(const DeviceBatch& batch, const Peers* peers) {
  if (peers == nullptr) return batch;
  const int64_t share = batch.tokens_BT.size(0) / peers->size();
  return {batch.images_BCSS.narrow(0, peers->rank() * share, share),
          batch.tokens_BT.narrow(0, peers->rank() * share, share)};
}

// What one process spent on the measured steps.
struct Spent {
  double cpu_seconds = 0;
  double wait_seconds = 0;
  double peak_bytes = 0;
};

std::vector<Spent> OfAllProcesses(const Spent& mine, Peers* peers) {
  if (peers == nullptr) return {mine};
  const at::Tensor all = peers->AllGather(
      at::tensor({mine.cpu_seconds, mine.wait_seconds, mine.peak_bytes}, at::kDouble));
  const double* const values = all.const_data_ptr<double>();
  std::vector<Spent> spent;
  for (int64_t i = 0; i < all.size(0); i += 3)
    spent.push_back({values[i], values[i + 1], values[i + 2]});
  return spent;
}

// Rank 0's clock, so that all processes take the same number of steps.
double Agreed(double seconds, Peers* peers) {
  if (peers == nullptr) return seconds;
  const at::Tensor agreed = at::tensor({peers->rank() == 0 ? seconds : 0.0}, at::kDouble);
  peers->AllReduce(agreed);
  return agreed.item<double>();
}

double WaitSeconds(const Peers* peers) {
  return peers != nullptr ? peers->wait_seconds() : 0;
}

}  // namespace

void RunBench(const BenchOptions& options, char* const* argv) {
  using Clock = std::chrono::steady_clock;
  const at::NoGradGuard no_autograd;
  CheckOptions(options);
  const RunSpec spec = SpecOf(options);
  const BenchPeers processes(options.processes, options.device, argv);
  Peers* const peers = processes.get();
  const at::Device device = ChooseDevice(options.device, peers != nullptr ? peers->rank() : 0);
  SetThreads(options.threads);
  SetPrecision(device, options.precision);
  Learner learner(spec,
                  device,
                  {options.micro_batch,
                   ParseRecompute(options.recompute),
                   ParseSharding(options.sharding),
                   options.bucket_bytes},
                  peers);
  learner.parameters().Initialize(0);
  const bool graph = options.cuda_graphs && learner.RecordSteps();
  const DeviceBatch all = SyntheticBatch(spec, options, device);
  const double text_tokens = static_cast<double>(CountTextTokens(all.tokens_BT)) /
                             static_cast<double>(spec.global_batch_size);
  const DeviceBatch batch = ShareOf(all, peers);
  int64_t step = 0;
  for (; step < options.warmup_steps; ++step) (void)learner.Step(batch, step).item<float>();
  std::vector<double> seconds;
  double total = 0;
  double wait = 0;
  const double cpu_before = CpuSeconds();
  while (Agreed(total, peers) < options.seconds) {
    const double wait_before = WaitSeconds(peers);
    const auto start = Clock::now();
    (void)learner.Step(batch, step++).item<float>();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += seconds.back();
    wait += WaitSeconds(peers) - wait_before;
  }
  const std::vector<Spent> spent = OfAllProcesses(
      {CpuSeconds() - cpu_before, wait, static_cast<double>(PeakMemoryBytes())}, peers);
  if (peers != nullptr && peers->rank() != 0) return;
  double cpu_seconds = 0;
  double peak_bytes = 0;
  for (const Spent& process : spent) {
    cpu_seconds += process.cpu_seconds;
    peak_bytes = std::max(peak_bytes, process.peak_bytes);
  }
  const double images =
      static_cast<double>(options.batch_size) * static_cast<double>(seconds.size());
  const double median = Median(seconds);
  const double rate = static_cast<double>(options.batch_size) / median;
  const Json report{
      {"program", kProgramVersion},
      {"device", device.str()},
      {"threads", options.threads},
      {"precision", options.precision},
      {"batch_size", options.batch_size},
      {"micro_batch", options.micro_batch},
      {"recompute", options.recompute},
      {"processes", options.processes},
      {"sharding", options.sharding},
      {"cuda_graphs", graph},
      {"bucket_bytes", options.bucket_bytes},
      {"matrix_library", NameOf(CpuMatrixLibrary())},
      {"steps", seconds.size()},
      {"step_seconds", median},
      {"communication_wait", wait / total},
      {"images_per_second", rate},
      {"images_per_cpu_second", images / cpu_seconds},
      {"text_tokens", text_tokens},
      {"model_flops_per_second", rate * ComputedTrainFlopsPerSample(spec, text_tokens)},
      {"peak_memory_bytes", static_cast<int64_t>(peak_bytes)}};
  Print("{}\n", report.dump());
}

}  // namespace sweep
