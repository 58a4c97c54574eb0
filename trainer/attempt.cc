#include "trainer/attempt.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <thread>

#include "core/failure.h"
#include "core/files.h"
#include "trainer/device.h"
#include "trainer/evaluation.h"
#include "trainer/process_group.h"
#include "trainer/training_run.h"

namespace sweep {
namespace {

/// An exclusive flock for as long as it lives; the kernel drops it when the process dies. It waits
/// up to `patience` seconds for another holder: the trainer on a node that its cluster has given up
/// may still be at work, and a network file system keeps the lock of a dead one for a while.
class RunLock {
 public:
  RunLock(const std::filesystem::path& path, double patience, const StopSignals& signals)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0644)) {
    const int error = fd_ < 0 ? errno : IsFile() ? Lock(patience, signals) : EINVAL;
    if (error == 0) return;
    if (fd_ >= 0) ::close(fd_);
    if (error == EWOULDBLOCK && signals.StopRequested()) {
      throw Failure(FailureCode::kInterrupted,
                    fmt::format("stopped by a signal, waiting for {}", path.string()));
    }
    if (error == EWOULDBLOCK) {
      throw Failure(FailureCode::kStoreHeld,
                    fmt::format("{} is held: another trainer works on this run", path.string()));
    }
    ThrowFileError("cannot lock", path, error);
  }
  ~RunLock() { ::close(fd_); }
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  // Who asks for a run's lock (core/file_lock.h) takes no notice of anything else.
  [[nodiscard]] bool IsFile() const {
    struct stat info {};
    return ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  }

  // 0, or why the last try failed.
  [[nodiscard]] int Lock(double patience, const StopSignals& signals) const {
    constexpr auto kPause = std::chrono::milliseconds(200);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience);
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return errno;
      if (std::chrono::steady_clock::now() >= end || signals.StopRequested()) return EWOULDBLOCK;
      std::this_thread::sleep_for(kPause);
    }
    return 0;
  }

  int fd_;
};

struct Trouble {
  std::string event_class;
  Failure failure;
};

std::string ClassOf(FailureCode code) {
  switch (code) {
    case FailureCode::kUsage:
      return "bad_spec";
    case FailureCode::kData:
      return "data";
    case FailureCode::kInterrupted:
      return "interrupted";
    case FailureCode::kDiskFull:
      return "disk_full";
    case FailureCode::kDatabase:
      return "io";
    default:
      return "error";
  }
}

// What is in flight, as one of our failures: this is where LibTorch's exceptions end. `crashed` is
// what may pass: the death of another process shows as whatever its connections throw.
Trouble Translate(bool has_peers) {
  const std::string unknown = has_peers ? "crashed" : "error";
  try {
    throw;
  } catch (const Failure& failure) {
    return {ClassOf(failure.code()), failure};
  } catch (const c10::OutOfMemoryError& error) {
    return {"out_of_memory", Failure(FailureCode::kInternal, error.what_without_backtrace())};
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    const bool memory = message.find("can't allocate memory") != std::string::npos;
    const bool device = dynamic_cast<const c10::AcceleratorError*>(&error) != nullptr;
    return {memory   ? "out_of_memory"
            : device ? "crashed"
                     : unknown,
            Failure(FailureCode::kInternal, message)};
  } catch (const std::bad_alloc&) {
    return {"out_of_memory", Failure(FailureCode::kInternal, "out of memory")};
  } catch (const std::exception& error) {
    return {unknown, Failure(FailureCode::kInternal, error.what())};
  }
}

// Writes what is in flight as an event, and throws it as a Failure.
[[noreturn]] void Report(EventWriter& events, bool has_peers) {
  const Trouble trouble = Translate(has_peers);
  events.Write("failure", {{"class", trouble.event_class}, {"message", trouble.failure.what()}});
  throw trouble.failure;
}

void CheckLeast(const char* field, int64_t value, int64_t least) {
  if (value >= least) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("attempt.json: {} is {}, expected at least {}", field, value, least));
}

void CheckRequest(const AttemptRequest& request) {
  CheckLeast("threads", request.threads, 1);
  CheckLeast("data_threads", request.data_threads, 1);  // without any no batch would ever come
  CheckLeast("processes", request.processes, 1);
  CheckLeast("micro_batch", request.micro_batch, 0);
}

// Before anything is written: a mistyped path is not to become a folder.
void CheckPaths(const RunDirectory& directory, int64_t attempt) {
  const std::string root = directory.root().string();
  if (!std::filesystem::is_directory(directory.root()))
    throw Failure(FailureCode::kUsage, fmt::format("{}: no run folder", root));
  if (!std::filesystem::exists(directory.request(attempt))) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: has no attempt {}: {} is missing",
                              root,
                              attempt,
                              directory.request(attempt).string()));
  }
}

AttemptRequest ReadRequest(const RunDirectory& directory, int64_t attempt) {
  CheckPaths(directory, attempt);
  try {
    AttemptRequest request = ReadAttemptRequest(directory, attempt);
    CheckRequest(request);
    return request;
  } catch (...) {
    EventWriter events(directory.events(attempt));
    Report(events, /*has_peers=*/false);
  }
}

RunSpec SpecOf(const RunDirectory& directory, const AttemptRequest& request, int64_t attempt) {
  RunSpec spec = ReadSpecFile(directory);
  if (request.run_id == RunId(spec) && request.attempt == attempt) return spec;
  throw Failure(FailureCode::kUsage,
                fmt::format("{}: is for attempt {} of run {}, expected attempt {} of run {}",
                            directory.request(attempt).string(),
                            request.attempt,
                            request.run_id,
                            attempt,
                            RunId(spec)));
}

void CheckShares(const RunSpec& spec, int64_t processes) {
  if (spec.global_batch_size % processes == 0) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("attempt.json: processes is {}, expected a divisor of the "
                            "global_batch_size, {}",
                            processes,
                            spec.global_batch_size));
}

// A requeued job of Slurm is the same attempt once more: its ranks meet anew.
std::filesystem::path MeetingPlace(const RunDirectory& directory, int64_t attempt) {
  const char* restarts = std::getenv("SLURM_RESTART_COUNT");
  return directory.attempt(attempt) / fmt::format("ranks.{}", restarts != nullptr ? restarts : "0");
}

// All processes of the attempt train; what is left is rank 0's.
void Train(AttemptContext& context, const Rank& rank, char* const* argv) {
  if (rank.size == 1) {
    TrainToResult(context);
    return;
  }
  const std::filesystem::path meeting = MeetingPlace(context.directory, context.request.attempt);
  std::optional<LocalPeers> others;
  if (rank.starts_others) {
    std::filesystem::remove(meeting);  // the addresses of processes that were killed
    others.emplace(argv, rank.size);
  }
  const auto peers =
      JoinPeers(meeting, rank, ChooseDevice(context.request.device, rank.local_rank), [&] {
        if (others) others->RequireAlive();
        return context.signals.StopRequested();
      });
  context.peers = peers.get();
  context.local_rank = rank.local_rank;
  TrainToResult(context);
  context.peers = nullptr;
}

void Work(const RunDirectory& directory,
          const AttemptRequest& request,
          const Rank& rank,
          EventWriter& events,
          StopSignals& signals,
          char* const* argv) {
  const RunSpec spec = SpecOf(directory, request, request.attempt);
  CheckShares(spec, request.processes);
  DataLibrary data(request.locations, request.data_threads);
  AttemptContext context{directory, spec, request, events, signals, data};
  if (!ReadResult(directory)) Train(context, rank, argv);
  if (rank.rank == 0) EvaluateMissing(context);
}

}  // namespace

void RunAttempt(const std::filesystem::path& run_directory, int64_t attempt, char* const* argv) {
  const at::NoGradGuard no_autograd;
  const RunDirectory directory(run_directory);
  const AttemptRequest request = ReadRequest(directory, attempt);
  StopSignals signals;
  const Rank rank = FindRank(request.processes, request.launcher);
  const bool leads = rank.rank == 0;
  std::optional<RunLock> lock;
  if (leads) lock.emplace(directory.lock(), request.lock_wait_seconds, signals);
  std::unique_ptr<EventWriter> events =
      leads ? std::make_unique<EventWriter>(directory.events(attempt))
            : std::make_unique<EventWriter>();
  try {
    Work(directory, request, rank, *events, signals, argv);
  } catch (...) {
    Report(*events, request.processes > 1);
  }
}

}  // namespace sweep
