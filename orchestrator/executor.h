#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sweep {

/// What an attempt takes, by the plan; 0: not known.
struct AttemptNeeds {
  double seconds = 0;       ///< at most
  double memory_bytes = 0;  ///< on each of its devices
};

/// One attempt to start: a command whose output goes to files.
struct AttemptJob {
  std::string run_id;
  int64_t attempt = 0;
  std::filesystem::path run_directory;
  std::vector<std::string> argv;  ///< with the run's folder and the attempt as its last two words
  std::filesystem::path stdout_log;
  std::filesystem::path stderr_log;
  AttemptNeeds needs = {};
};

/// What identifies a started attempt, recorded with it.
struct AttemptHandle {
  std::string host;  ///< where its process is; empty for a job of a scheduler
  int64_t pid = 0;   ///< its process; 0 for a job of a scheduler
  std::string job;   ///< the scheduler's name for it; empty for a process
};

/// What the outside world tells of an attempt. What it achieved is read from its files, never from
/// this.
struct AttemptNews {
  enum class Kind {
    kQueued,
    kRunning,
    kEnded,
    kDropped,  ///< it has not been started and will not be: Stop came first
  };
  std::string run_id;
  int64_t attempt = 0;
  Kind kind = Kind::kEnded;
  std::string detail;     ///< for people: "slurm job 1234_5"
  AttemptHandle handle;   ///< of a process that has started
  std::string waits_for;  ///< of a queued one that needs somebody's help
  // Of an end:
  std::optional<int> exit_code;
  std::optional<int> signal;
  /// Why it ended, where that was not the trainer's doing: `preempted`, `node_failure`,
  /// `time_limit`, `out_of_memory`, `cancelled`, `lost` or `not_submitted`.
  std::string cause;
};

/// The outside world: where attempts run. Unit tests fake this interface and nothing else.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Recorded with every attempt.
  [[nodiscard]] virtual std::string name() const = 0;

  /// How many more attempts there is room for now.
  [[nodiscard]] virtual size_t Room() const = 0;

  /// Keeps a place for a run that is started next and needs so much memory on each of its devices.
  /// False: not before another ends.
  [[nodiscard]] virtual bool Reserve(const std::string& /*run_id*/, double /*memory_bytes*/) {
    return true;
  }

  /// Starts it, or promises to. A job of a scheduler has its handle at once; a process has an empty
  /// one, and the news that it runs brings what identifies it. Throws Failure when it cannot be
  /// started at all.
  virtual AttemptHandle Start(const AttemptJob& job) = 0;

  /// Watches an attempt that an earlier process started here and that has not been seen to end.
  virtual void Adopt(const AttemptJob& job, const AttemptHandle& handle) = 0;

  /// What has changed; waits up to `timeout` for the first change.
  [[nodiscard]] virtual std::vector<AttemptNews> Poll(std::chrono::milliseconds timeout) = 0;

  enum class StopMode {
    kCheckpoint,  ///< ask: save and exit
    kKill,        ///< at once
  };
  /// Acts on everything that is still running; ends are reported by Poll as ever.
  virtual void Stop(StopMode mode) = 0;

  /// Do attempts go on when this process ends?
  [[nodiscard]] virtual bool OutlivesSweep() const = 0;

  [[nodiscard]] virtual size_t running() const = 0;

  /// Lines for the user since the last call: a scheduler that does not answer, say.
  [[nodiscard]] virtual std::vector<std::string> TakeNotes() { return {}; }
};

}  // namespace sweep
