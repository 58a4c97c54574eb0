#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sweep {

/// One task of one of our job arrays, as Slurm lists it.
struct SlurmTask {
  std::string job;     ///< "1234_5", Slurm's own number
  std::string state;   ///< PENDING, RUNNING, COMPLETED, …
  std::string reason;  ///< why it waits or how it ended
};

/// Our name of a task: the submission's token and the index in its array, as "TOKEN_5".
[[nodiscard]] std::string SlurmTaskName(const std::string& token, int64_t index);

/// Reads `squeue --noheader --array --format=kSqueueFormat`: our name → task. Lines that are not as
/// expected, and jobs of others, are left out: a scheduler that answers strangely is a scheduler
/// that says nothing.
inline constexpr const char* kSqueueFormat = "%j|%F|%K|%T|%r";
[[nodiscard]] std::map<std::string, SlurmTask> ParseSqueue(std::string_view text);

/// What a task's state means for its attempt.
enum class SlurmPhase { kQueued, kRunning, kEnded, kUnknown };
[[nodiscard]] SlurmPhase PhaseOf(const SlurmTask& task);

/// Why a task ended, in the words of AttemptNews::cause; empty where the trainer's own exit says.
[[nodiscard]] std::string CauseOf(const SlurmTask& task);

/// An integer of `scontrol show config`, as MaxArraySize.
[[nodiscard]] std::optional<int64_t> SlurmConfigValue(std::string_view config,
                                                      std::string_view name);

/// What an answer of sbatch means.
struct SbatchAnswer {
  enum class Kind {
    kAccepted,
    kRefused,    ///< it will never be accepted as it is
    kBusy,       ///< certainly not accepted now, but later perhaps (a limit, a controller away)
    kUncertain,  ///< it may have been accepted: ask the queue before sending anything again
  };
  Kind kind = Kind::kUncertain;
  std::string job;      ///< of an accepted one
  std::string message;  ///< of the others
};
[[nodiscard]] SbatchAnswer ReadSbatchAnswer(std::optional<int> exit_code,
                                            std::string_view out,
                                            std::string_view error);

}  // namespace sweep
