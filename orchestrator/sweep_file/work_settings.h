#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/sweep_file/field_reader.h"

namespace sweep {

/// Where runs work. What is absent is left to the executor.
struct ExecutorSettings {
  std::string kind = "local";  ///< `local`, `slurm` or `command`
  std::optional<int64_t> slots;
  int64_t threads_per_run = 1;
  std::optional<int64_t> gpus_per_run;
  std::optional<int64_t> processes_per_run;
  int64_t nodes_per_run = 1;
  int64_t max_attempts = 2;
  std::optional<double> time_limit_seconds;
  std::string resources_from = "settings";  ///< or `plan`: see LimitsOf
  std::optional<int64_t> max_running;
  double fits_every_seconds = 60;
  double poll_every_seconds = 30;
  double answer_timeout_seconds = 60;
  std::string partition;
  std::string account;
  std::string qos;
  std::string constraint;
  std::vector<std::string> lines;  ///< further options of sbatch
  // Of `command`: words with {names} in them.
  std::vector<std::string> submit;
  std::vector<std::string> poll;
  std::vector<std::string> cancel;
  std::string job_pattern = "[0-9]+";  ///< finds the job's number in what `submit` prints

  /// Of one run: as many as it has GPUs, unless the file says otherwise.
  [[nodiscard]] int64_t processes() const {
    return processes_per_run.value_or(std::max<int64_t>(1, gpus_per_run.value_or(1)));
  }
};

/// A script on its way to the executor `command`.
struct SubmittedScript {
  std::string name;  ///< of the job
  std::string script;
  std::string folder;                       ///< where the scheduler's logs may go
  std::optional<double> seconds = {};       ///< its time limit
  std::optional<double> memory_bytes = {};  ///< of the host, on each of its nodes
};

/// What the {names} in `submit` stand for.
[[nodiscard]] std::map<std::string, std::string> SubmitValues(const ExecutorSettings& executor,
                                                              const SubmittedScript& job);

/// What the executor `command` lacks, for the user; empty: nothing.
[[nodiscard]] std::string MissingCommands(const ExecutorSettings& executor);

struct TrainerSettings {
  std::vector<std::string> command;  ///< empty: clip_train, as installed with this program
  double checkpoint_every_seconds = 300;
  int64_t data_threads = 1;
  int64_t micro_batch = 0;
  std::string recompute = "none";
  std::string sharding = "none";
  bool cuda_graphs = false;
  std::string device = "auto";
};

/// How and where runs work: no part of their identity.
struct WorkSettings {
  ExecutorSettings executor;
  TrainerSettings trainer;
  std::vector<std::string> profiles = {};  ///< files they are from, the weakest first
};

/// Lays the sections `executor` and `trainer` of a document, where there are any, over these
/// settings. What is wrong with them is reported by `reader`.
void ReadWorkSettings(const FieldReader& reader,
                      const Json& document,
                      ExecutorSettings& executor,
                      TrainerSettings& trainer);

/// What no section alone can tell, once all of them lie over each other.
void CheckWholeExecutor(const FieldReader& reader, const ExecutorSettings& executor);

/// Settings of a site, kept once for all sweep files: `sweep/profile.json` in $XDG_CONFIG_HOME or
/// ~/.config, and over it `sweep-profile.json` in `folder`, that of the sweep file. Each is an
/// object of the sections `executor` and `trainer`; neither needs to be there.
[[nodiscard]] WorkSettings ReadProfiles(const std::filesystem::path& folder,
                                        const Catalog& catalog,
                                        ProblemList& problems);

}  // namespace sweep
