#include "orchestrator/local_gpus.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <sstream>

#include "core/cores.h"
#include "orchestrator/subprocess.h"

namespace sweep {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);  // drivers that start with their first use
constexpr double kMebibyte = 1 << 20;
// What a process has on a GPU before its first tensor (CUDA's context, cuBLAS's work space), and
// what is lost in pieces: both assumed, not measured.
constexpr double kContextBytes = 600 * kMebibyte;
constexpr double kUsableShare = 0.95;

std::vector<std::string> SplitByComma(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    const size_t begin = part.find_first_not_of(" \t");
    const size_t end = part.find_last_not_of(" \t\r");
    parts.push_back(begin == std::string::npos ? "" : part.substr(begin, end - begin + 1));
  }
  return parts;
}

struct ListedGpu {
  std::string index;
  LocalGpu gpu;
};

std::vector<ListedGpu> ParseList(std::string_view text) {
  std::vector<ListedGpu> listed;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> cells = SplitByComma(line);
    if (cells.size() != 4 || !cells[1].starts_with("GPU-")) continue;
    const double mebibytes = std::strtod(cells[3].c_str(), nullptr);
    listed.push_back({cells[0], {cells[1], cells[2], std::max(0.0, mebibytes) * kMebibyte}});
  }
  return listed;
}

std::vector<LocalGpu> AskDriver() {
  const CommandResult result = RunCommand(
      {"nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"},
      kPatience);
  if (!result.ok()) return {};
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return ParseGpus(result.out, visible == nullptr ? std::nullopt : std::optional(visible));
}

size_t GpusPerRun(const ExecutorSettings& executor) {
  return static_cast<size_t>(std::max<int64_t>(1, executor.gpus_per_run.value_or(1)));
}

}  // namespace

std::vector<LocalGpu> ParseGpus(std::string_view text, const std::optional<std::string>& visible) {
  const std::vector<ListedGpu> listed = ParseList(text);
  std::vector<LocalGpu> gpus;
  if (!visible) {
    for (const ListedGpu& one : listed) gpus.push_back(one.gpu);
    return gpus;
  }
  for (const std::string& wanted : SplitByComma(*visible)) {
    const auto found = std::find_if(listed.begin(), listed.end(), [&](const ListedGpu& one) {
      return one.index == wanted || (wanted.starts_with("GPU-") && one.gpu.id.starts_with(wanted));
    });
    if (found == listed.end()) break;  // as CUDA does: none after one that is not there
    gpus.push_back(found->gpu);
  }
  return gpus;
}

const std::vector<LocalGpu>& LocalGpus() {
  static const std::vector<LocalGpu> gpus = AskDriver();
  return gpus;
}

double RoomOnGpu(double memory_bytes) {
  return kUsableShare * memory_bytes - kContextBytes;
}

bool WorksOnGpus(const ExecutorSettings& executor, const TrainerSettings& trainer) {
  if (executor.gpus_per_run) return *executor.gpus_per_run > 0;
  if (trainer.device != "auto") return trainer.device == "cuda";
  return executor.kind == "local" && !LocalGpus().empty();
}

size_t LocalSlots(const ExecutorSettings& executor, const TrainerSettings& trainer) {
  if (executor.slots) return static_cast<size_t>(*executor.slots);
  const size_t cores = UsableCores();
  const auto per_run = static_cast<size_t>(executor.threads_per_run * executor.processes());
  size_t slots = cores / per_run;
  if (WorksOnGpus(executor, trainer))
    slots = std::min(slots, LocalGpus().size() / GpusPerRun(executor));
  return std::max<size_t>(1, slots);
}

GpuPacking::GpuPacking(std::vector<LocalGpu> gpus, size_t gpus_per_run, size_t runs_at_once)
    : gpus_per_run_(std::clamp<size_t>(gpus_per_run, 1, std::max<size_t>(1, gpus.size()))) {
  for (LocalGpu& gpu : gpus) gpus_.push_back({std::move(gpu)});
  if (!gpus_.empty())
    runs_per_gpu_ = (runs_at_once * gpus_per_run_ + gpus_.size() - 1) / gpus_.size();
}

std::optional<std::vector<std::string>> GpuPacking::Take(const std::string& run_id,
                                                         double memory_bytes) {
  if (gpus_.empty()) return std::vector<std::string>();
  const double bytes = memory_bytes + kContextBytes;
  std::vector<size_t> least_occupied(gpus_.size());
  std::iota(least_occupied.begin(), least_occupied.end(), 0);
  std::stable_sort(least_occupied.begin(), least_occupied.end(), [&](size_t a, size_t b) {
    return std::pair(gpus_[a].runs, gpus_[a].bytes) < std::pair(gpus_[b].runs, gpus_[b].bytes);
  });
  Taken taken{{}, bytes};
  for (const size_t i : least_occupied) {
    const Occupied& at = gpus_[i];
    const bool fits = at.bytes + bytes <= kUsableShare * at.gpu.memory_bytes;
    if (at.runs == 0 || (at.runs < runs_per_gpu_ && fits)) taken.gpus.push_back(i);
    if (taken.gpus.size() == gpus_per_run_) break;
  }
  if (taken.gpus.size() < gpus_per_run_) return std::nullopt;
  std::vector<std::string> ids;
  for (const size_t i : taken.gpus) {
    ++gpus_[i].runs;
    gpus_[i].bytes += bytes;
    ids.push_back(gpus_[i].gpu.id);
  }
  taken_[run_id] = std::move(taken);
  return ids;
}

void GpuPacking::Free(const std::string& run_id) {
  const auto found = taken_.find(run_id);
  if (found == taken_.end()) return;
  for (const size_t i : found->second.gpus) {
    --gpus_[i].runs;
    gpus_[i].bytes -= found->second.bytes;
  }
  taken_.erase(found);
}

}  // namespace sweep
