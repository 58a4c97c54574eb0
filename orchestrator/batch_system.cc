#include "orchestrator/batch_system.h"

#include "orchestrator/command_system.h"
#include "orchestrator/slurm_system.h"

namespace sweep {

std::unique_ptr<BatchSystem> MakeBatchSystem(const std::string& kind,
                                             const ExecutorSettings& settings,
                                             const std::filesystem::path& store) {
  if (kind == "slurm") return std::make_unique<SlurmSystem>(settings, SubmissionsFolder(store));
  if (kind == "command") return std::make_unique<CommandSystem>(settings, SubmissionsFolder(store));
  return nullptr;
}

std::filesystem::path SubmissionsFolder(const std::filesystem::path& store) {
  return store / "submissions";
}

}  // namespace sweep
