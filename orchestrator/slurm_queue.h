#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/batch_system.h"

namespace sweep {

/// One task of one of our job arrays, in squeue's words.
struct SlurmTask {
  std::string job;     ///< "1234_5", Slurm's own number
  std::string state;   ///< PENDING, RUNNING, COMPLETED, …
  std::string reason;  ///< why it waits or how it ended
};

/// Reads `squeue --noheader --array --format=kSqueueFormat`: our name → task. Lines that are not as
/// expected, and jobs of others, are left out: a scheduler that answers strangely is a scheduler
/// that says nothing.
inline constexpr const char* kSqueueFormat = "%j|%F|%K|%T|%r";
[[nodiscard]] std::map<std::string, SlurmTask> ParseSqueue(std::string_view text);

/// Reads `sacct --noheader --parsable2 --allocations --format=kSacctFormat`, likewise: what the
/// accounting of a cluster still knows of tasks that squeue has forgotten. Tasks of an array that
/// never started share a line, in which those of `names` are looked for.
inline constexpr const char* kSacctFormat = "JobName,JobID,State";
[[nodiscard]] std::map<std::string, SlurmTask> ParseSacct(std::string_view text,
                                                          const std::vector<std::string>& names);

/// What a task's state means for its attempt.
[[nodiscard]] ListedTask::Phase PhaseOf(const SlurmTask& task);

/// Why a task ended, in the words of AttemptNews::cause; empty where the trainer's own exit says.
[[nodiscard]] std::string CauseOf(const SlurmTask& task);

/// Why a queued task may wait for ever unless somebody does something; empty where it waits for its
/// turn.
[[nodiscard]] std::string WaitsFor(const SlurmTask& task);

/// A word of `scontrol show config`, as AccountingStorageType; an integer, as MaxArraySize.
[[nodiscard]] std::optional<std::string> SlurmConfigWord(std::string_view config,
                                                         std::string_view name);
[[nodiscard]] std::optional<int64_t> SlurmConfigValue(std::string_view config,
                                                      std::string_view name);

[[nodiscard]] SubmitAnswer ReadSbatchAnswer(std::optional<int> exit_code,
                                            std::string_view out,
                                            std::string_view error);

}  // namespace sweep
