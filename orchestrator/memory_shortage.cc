#include "orchestrator/memory_shortage.h"

#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/local_gpus.h"
#include "orchestrator/progress.h"

namespace sweep {
namespace {

constexpr int64_t kLeastPiece = 8;  // pairs; smaller products leave a GPU idle

double MostBytes(const std::vector<RunWork>& remaining,
                 const ExecutorSettings& executor,
                 const TrainerSettings& trainer) {
  double most = 0;
  for (const RunWork& work : remaining) {
    if (work.train) most = std::max(most, MemoryOf(work.run->spec, executor, trainer).total());
  }
  return most;
}

int64_t LargestShare(const std::vector<RunWork>& remaining, const ExecutorSettings& executor) {
  int64_t largest = 1;
  for (const RunWork& work : remaining)
    largest = std::max(largest, work.run->spec.global_batch_size / executor.processes());
  return largest;
}

// The present settings with more and more done to save memory. A run's time grows by its forward
// pass at most, however much is computed again or how small the pieces; sharding costs traffic.
std::vector<TrainerSettings> Remedies(const TrainerSettings& present,
                                      const ExecutorSettings& executor,
                                      int64_t largest_share) {
  std::vector<TrainerSettings> remedies;
  TrainerSettings settings = present;
  const auto add = [&] { remedies.push_back(settings); };
  if (settings.recompute == "none") {
    settings.recompute = "cheap";
    add();
  }
  if (settings.recompute != "blocks") {
    settings.recompute = "blocks";
    add();
  }
  const auto pieces = [&] {
    int64_t piece = 1;
    while (2 * piece < (present.micro_batch > 0 ? present.micro_batch : largest_share)) piece *= 2;
    for (; piece >= kLeastPiece; piece /= 2) {
      settings.micro_batch = piece;
      add();
    }
  };
  pieces();
  if (executor.processes() == 1) return remedies;
  for (const char* sharding : {"optimizer", "weights"}) {
    if (present.sharding == "weights" || present.sharding == sharding) continue;
    settings.sharding = sharding;
    pieces();
  }
  return remedies;
}

}  // namespace

std::optional<MemoryShortage> FindMemoryShortage(const std::vector<RunWork>& remaining,
                                                 const SweepJob& job,
                                                 const Workplace& workplace,
                                                 const PlanCost& cost) {
  if (workplace.gpu_bytes <= 0) return std::nullopt;
  const double room = RoomOnGpu(workplace.gpu_bytes);
  MemoryShortage shortage;
  shortage.gpu_bytes = workplace.gpu_bytes;
  for (const RunWork& work : remaining) {
    const auto found = cost.runs.find(work.run->run_id);
    if (found == cost.runs.end() || found->second.memory.total() <= room) continue;
    shortage.runs.push_back(work.run);
    shortage.most_bytes = std::max(shortage.most_bytes, found->second.memory.total());
  }
  if (shortage.runs.empty()) return std::nullopt;
  for (const TrainerSettings& remedy :
       Remedies(job.trainer, job.executor, LargestShare(remaining, job.executor))) {
    shortage.remedy_bytes = MostBytes(remaining, job.executor, remedy);
    if (shortage.remedy_bytes > room) continue;
    shortage.remedy = remedy;
    break;
  }
  return shortage;
}

std::string AdviceText(const MemoryShortage& shortage, const TrainerSettings& present) {
  if (!shortage.remedy)
    return "no setting of trainer.micro_batch, recompute and sharding makes all fit: more "
           "executor.gpus_per_run do, with \"sharding\": \"weights\"";
  const TrainerSettings& remedy = *shortage.remedy;
  Json changes = Json::object();
  if (remedy.recompute != present.recompute) changes["recompute"] = remedy.recompute;
  if (remedy.micro_batch != present.micro_batch) changes["micro_batch"] = remedy.micro_batch;
  if (remedy.sharding != present.sharding) changes["sharding"] = remedy.sharding;
  return fmt::format("with \"trainer\": {} a process takes {} at most",
                     changes.dump(),
                     HumanBytes(shortage.remedy_bytes));
}

}  // namespace sweep
