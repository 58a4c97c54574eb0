#include "trainer/attempt.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include "core/failure.h"
#include "trainer/evaluation.h"
#include "trainer/training_run.h"

namespace sweep {
namespace {

/// An exclusive flock for as long as it lives; the kernel drops it when the process dies.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    if (error == EWOULDBLOCK) {
      throw Failure(FailureCode::kStoreHeld,
                    fmt::format("{} is held: another trainer works on this run", path.string()));
    }
    throw Failure(FailureCode::kUsage,
                  fmt::format("cannot lock {}: {}", path.string(), std::strerror(error)));
  }
  ~RunLock() { ::close(fd_); }
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
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
    default:
      return "error";
  }
}

// What is in flight, as one of our failures: this is where LibTorch's exceptions end.
Trouble Translate() {
  try {
    throw;
  } catch (const Failure& failure) {
    return {ClassOf(failure.code()), failure};
  } catch (const c10::OutOfMemoryError& error) {
    return {"out_of_memory", Failure(FailureCode::kInternal, error.what_without_backtrace())};
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    const bool memory = message.find("can't allocate memory") != std::string::npos;
    return {memory ? "out_of_memory" : "error", Failure(FailureCode::kInternal, message)};
  } catch (const std::bad_alloc&) {
    return {"out_of_memory", Failure(FailureCode::kInternal, "out of memory")};
  } catch (const std::exception& error) {
    return {"error", Failure(FailureCode::kInternal, error.what())};
  }
}

void Work(const RunDirectory& directory, int64_t attempt, EventWriter& events) {
  StopSignals signals;
  const AttemptRequest request = ReadAttemptRequest(directory, attempt);
  const RunSpec spec = ReadSpecFile(directory);
  if (request.run_id != RunId(spec) || request.attempt != attempt) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: is for attempt {} of run {}, expected attempt {} of run {}",
                              directory.request(attempt).string(),
                              request.attempt,
                              request.run_id,
                              attempt,
                              RunId(spec)));
  }
  DataLibrary data(request.locations, request.data_threads);
  const AttemptContext context{directory, spec, request, events, signals, data};
  if (!ReadResult(directory)) TrainToResult(context);
  EvaluateMissing(context);
}

}  // namespace

void RunAttempt(const std::filesystem::path& run_directory, int64_t attempt) {
  const at::NoGradGuard no_autograd;
  const RunDirectory directory(run_directory);
  const RunLock lock(directory.lock());
  EventWriter events(directory.events(attempt));
  try {
    Work(directory, attempt, events);
  } catch (...) {
    const Trouble trouble = Translate();
    events.Write("failure", {{"class", trouble.event_class}, {"message", trouble.failure.what()}});
    throw trouble.failure;
  }
}

}  // namespace sweep
