#include "orchestrator/sweep_file/work_settings.h"

#include <fmt/format.h>

#include <cstdlib>

#include "core/files.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

void CheckNodes(const FieldReader& reader, const ExecutorSettings& executor) {
  const int64_t nodes = executor.nodes_per_run;
  if (executor.processes() % nodes != 0) {
    reader.Error(
        "/executor/nodes_per_run",
        fmt::format(
            "{}, expected a divisor of the {} processes of a run", nodes, executor.processes()));
  }
  if (executor.gpus_per_run.value_or(0) % nodes != 0) {
    reader.Error(
        "/executor/nodes_per_run",
        fmt::format("{}, expected a divisor of gpus_per_run, {}", nodes, *executor.gpus_per_run));
  }
}

void ReadExecutor(const FieldReader& reader, const Json& document, ExecutorSettings& executor) {
  const Json* json =
      reader.ObjectMember(document, "executor", "an object, as {\"kind\": \"local\"}");
  if (json == nullptr) return;
  const Json read = reader.ReadObject(ExecutorFields(), *json, "/executor");
  SetIfGiven(read, "kind", executor.kind);
  SetIfGiven(read, "slots", executor.slots);
  SetIfGiven(read, "threads_per_run", executor.threads_per_run);
  SetIfGiven(read, "gpus_per_run", executor.gpus_per_run);
  SetIfGiven(read, "processes_per_run", executor.processes_per_run);
  SetIfGiven(read, "nodes_per_run", executor.nodes_per_run);
  CheckNodes(reader, executor);
  SetIfGiven(read, "max_attempts", executor.max_attempts);
  SetIfGiven(read, "time_limit", executor.time_limit_seconds);
  SetIfGiven(read, "max_running", executor.max_running);
  SetIfGiven(read, "fits_every", executor.fits_every_seconds);
  SetIfGiven(read, "poll_every", executor.poll_every_seconds);
  SetIfGiven(read, "answer_timeout", executor.answer_timeout_seconds);
  SetIfGiven(read, "partition", executor.partition);
  SetIfGiven(read, "account", executor.account);
  SetIfGiven(read, "qos", executor.qos);
  SetIfGiven(read, "constraint", executor.constraint);
  SetIfGiven(read, "lines", executor.lines);
}

void ReadTrainer(const FieldReader& reader, const Json& document, TrainerSettings& trainer) {
  const Json* json =
      reader.ObjectMember(document, "trainer", "an object, as {\"device\": \"cpu\"}");
  if (json == nullptr) return;
  const Json read = reader.ReadObject(TrainerFields(), *json, "/trainer");
  SetIfGiven(read, "command", trainer.command);
  SetIfGiven(read, "checkpoint_every_seconds", trainer.checkpoint_every_seconds);
  SetIfGiven(read, "data_threads", trainer.data_threads);
  SetIfGiven(read, "micro_batch", trainer.micro_batch);
  SetIfGiven(read, "recompute", trainer.recompute);
  SetIfGiven(read, "sharding", trainer.sharding);
  SetIfGiven(read, "device", trainer.device);
  if (read.contains("command") && trainer.command.empty())
    reader.Reject(Json::array(), "/trainer/command", "a program and its first arguments");
}

void ReadProfile(const fs::path& path,
                 const Catalog& catalog,
                 ProblemList& problems,
                 WorkSettings& settings) {
  if (!fs::is_regular_file(path)) return;
  const LocatedJson source = ParseLocatedJson(ReadFile(path), path.string(), problems);
  const FieldReader reader(source, catalog, problems);
  const Json& document = source.value();
  if (!reader.IsObject(document, "", "an object with executor, trainer or both")) return;
  for (const auto& [key, value] : document.items()) {
    if (key != "executor" && key != "trainer")
      reader.RejectName(key, PointerTo("", key), "a section", {"executor", "trainer"});
  }
  ReadWorkSettings(reader, document, settings.executor, settings.trainer);
  settings.profiles.push_back(path.string());
}

fs::path UserProfile() {
  const auto folder = [](const char* variable) -> fs::path {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
  };
  fs::path config = folder("XDG_CONFIG_HOME");
  if (config.empty() && !folder("HOME").empty()) config = folder("HOME") / ".config";
  return config.empty() ? fs::path() : config / "sweep" / "profile.json";
}

}  // namespace

void ReadWorkSettings(const FieldReader& reader,
                      const Json& document,
                      ExecutorSettings& executor,
                      TrainerSettings& trainer) {
  ReadExecutor(reader, document, executor);
  ReadTrainer(reader, document, trainer);
}

WorkSettings ReadProfiles(const fs::path& folder, const Catalog& catalog, ProblemList& problems) {
  WorkSettings settings;
  ReadProfile(UserProfile(), catalog, problems, settings);
  ReadProfile(folder / "sweep-profile.json", catalog, problems, settings);
  return settings;
}

}  // namespace sweep
