#include "orchestrator/sweep_file/work_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <regex>

#include "core/files.h"
#include "orchestrator/word_template.h"

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

void CheckNames(const FieldReader& reader,
                const std::string& pointer,
                const WordTemplate& words,
                const std::vector<std::string>& known) {
  for (const std::string& name : NamesIn(words)) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      reader.RejectName(name, pointer, "a name in braces", known);
  }
}

bool Uses(const WordTemplate& words, const std::string& name) {
  const std::vector<std::string> names = NamesIn(words);
  return std::find(names.begin(), names.end(), name) != names.end();
}

void CheckCommands(const FieldReader& reader, const ExecutorSettings& executor) {
  std::vector<std::string> submit_names;
  for (const auto& [name, value] : SubmitValues(executor, {})) submit_names.push_back(name);
  CheckNames(reader, "/executor/submit", executor.submit, submit_names);
  CheckNames(reader, "/executor/poll", executor.poll, {});
  CheckNames(reader, "/executor/cancel", executor.cancel, {"job", "name"});
  if (!executor.submit.empty() && !Uses(executor.submit, "script"))
    reader.Error("/executor/submit", "the word {script}, which is the job, is missing");
  try {
    (void)std::regex(executor.job_pattern);
  } catch (const std::regex_error&) {
    reader.Reject(executor.job_pattern, "/executor/job_pattern", "a regular expression");
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
  SetIfGiven(read, "resources_from", executor.resources_from);
  SetIfGiven(read, "max_running", executor.max_running);
  SetIfGiven(read, "fits_every", executor.fits_every_seconds);
  SetIfGiven(read, "poll_every", executor.poll_every_seconds);
  SetIfGiven(read, "answer_timeout", executor.answer_timeout_seconds);
  SetIfGiven(read, "partition", executor.partition);
  SetIfGiven(read, "account", executor.account);
  SetIfGiven(read, "qos", executor.qos);
  SetIfGiven(read, "constraint", executor.constraint);
  SetIfGiven(read, "lines", executor.lines);
  SetIfGiven(read, "submit", executor.submit);
  SetIfGiven(read, "poll", executor.poll);
  SetIfGiven(read, "cancel", executor.cancel);
  SetIfGiven(read, "job_pattern", executor.job_pattern);
  CheckCommands(reader, executor);
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
  SetIfGiven(read, "cuda_graphs", trainer.cuda_graphs);
  SetIfGiven(read, "device", trainer.device);
  if (read.contains("command") && trainer.command.empty())
    reader.Reject(Json::array(), "/trainer/command", "a program and its first arguments");
}

void ReadProfile(const fs::path& path,
                 const Catalog& catalog,
                 ProblemList& problems,
                 WorkSettings& settings) {
  if (!fs::is_regular_file(path)) return;
  const LocatedJson source = ParseLocatedJson(ReadNamedFile(path), path.string(), problems);
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

std::map<std::string, std::string> SubmitValues(const ExecutorSettings& executor,
                                                const SubmittedScript& job) {
  const int64_t nodes = executor.nodes_per_run;
  const int64_t gpus = executor.gpus_per_run.value_or(0);
  constexpr double kMegabyte = 1 << 20;
  const auto limit = static_cast<int64_t>(std::ceil(job.seconds.value_or(0)));
  const auto megabytes = static_cast<int64_t>(std::ceil(job.memory_bytes.value_or(0) / kMegabyte));
  return {
      {"name", job.name},
      {"script", job.script},
      {"folder", job.folder},
      {"nodes", std::to_string(nodes)},
      {"processes", std::to_string(executor.processes())},
      {"processes_per_node", std::to_string(executor.processes() / nodes)},
      {"threads", std::to_string(executor.threads_per_run)},
      {"cores_per_node", std::to_string(executor.threads_per_run * executor.processes() / nodes)},
      {"gpus", std::to_string(gpus)},
      {"gpus_per_node", std::to_string(gpus / nodes)},
      {"memory_mb", std::to_string(megabytes)},
      {"minutes", std::to_string((limit + 59) / 60)},
      {"walltime", fmt::format("{:02}:{:02}:{:02}", limit / 3600, limit / 60 % 60, limit % 60)}};
}

std::string MissingCommands(const ExecutorSettings& executor) {
  if (!executor.submit.empty() && !executor.poll.empty() && !executor.cancel.empty()) return "";
  return "the executor `command` needs the commands submit, poll and cancel, as "
         R"("submit": ["qsub", "-N", "{name}", "{script}"], "poll": ["qstat"], )"
         R"("cancel": ["qdel", "{job}"], in the sweep file or a profile)";
}

void CheckWholeExecutor(const FieldReader& reader, const ExecutorSettings& executor) {
  if (executor.kind == "command" && !MissingCommands(executor).empty())
    reader.Error("/executor", MissingCommands(executor));
  const bool needs_limit = Uses(executor.submit, "minutes") || Uses(executor.submit, "walltime");
  if (needs_limit && !executor.time_limit_seconds)
    reader.Error("/executor", "{minutes} and {walltime} in submit need a time_limit");
  const bool knows_memory =
      executor.resources_from == "plan" && executor.gpus_per_run.value_or(0) == 0;
  if (Uses(executor.submit, "memory_mb") && !knows_memory)
    reader.Error("/executor",
                 "{memory_mb} in submit needs resources_from \"plan\" and runs without GPUs");
}

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
