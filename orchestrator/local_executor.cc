#include "orchestrator/local_executor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/failure.h"
#include "db/lease.h"
#include "orchestrator/orphans.h"

namespace sweep {
namespace {

// Attempts wait here only where so many end in this time.
constexpr auto kRecently = std::chrono::milliseconds(250);
constexpr size_t kMostWaiting = 64;
// More children than this, and those of whom the kernel gives no descriptor, are looked at now and
// then: descriptors are needed for other things too.
constexpr size_t kMostWatched = 128;
constexpr int kLookMilliseconds = 20;
// What a child has left is found by a look at all processes of the machine.
constexpr auto kLookAtLeftovers = std::chrono::milliseconds(100);
constexpr auto kPatienceWithLeftovers = std::chrono::seconds(30);

// Variables by which launchers tell a process its place among others, whole or by their beginning.
// Those of the launcher that started `sweep` say nothing of a trainer: its attempt file does.
constexpr std::string_view kPlaces[] = {"RANK=",
                                        "LOCAL_RANK=",
                                        "WORLD_SIZE=",
                                        "LOCAL_WORLD_SIZE=",
                                        "GROUP_RANK=",
                                        "GROUP_WORLD_SIZE=",
                                        "ROLE_RANK=",
                                        "ROLE_WORLD_SIZE=",
                                        "ROLE_NAME=",
                                        "NODE_RANK=",
                                        "MASTER_ADDR=",
                                        "MASTER_PORT=",
                                        "TORCHELASTIC_",
                                        "OMPI_COMM_WORLD_",
                                        "PMI_",
                                        "PMIX_",
                                        "MPI_LOCALRANKID=",
                                        "SLURM_PROCID=",
                                        "SLURM_LOCALID=",
                                        "SLURM_NODEID=",
                                        "SLURM_GTIDS=",
                                        "SLURM_STEP_",
                                        "SLURM_STEPID=",
                                        "SLURM_TASK_PID=",
                                        "SLURM_NTASKS",
                                        "SLURM_NPROCS=",
                                        "SLURM_SRUN_COMM_",
                                        "SLURM_TASKS_PER_NODE="};

bool IsPlace(std::string_view variable) {
  return std::any_of(std::begin(kPlaces), std::end(kPlaces), [&](std::string_view place) {
    return variable.starts_with(place);
  });
}

int MakeEvent() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    throw Failure(FailureCode::kInternal,
                  fmt::format("cannot make an event: {}", std::strerror(errno)));
  return fd;
}

void Signal(int event) {
  const uint64_t one = 1;
  (void)!::write(event, &one, sizeof(one));
}

void Clear(int event) {
  uint64_t count = 0;
  (void)!::read(event, &count, sizeof(count));
}

AttemptNews EndOf(const std::string& run_id, int64_t attempt, int status) {
  AttemptNews end;
  end.run_id = run_id;
  end.attempt = attempt;
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

// A child that ended well has finished its run; what it put into a session of its own is no trainer.
// Its process group outlives it in either case, and then nobody else gets its number.
bool MayHaveLeft(int pid, const AttemptNews& end) {
  return end.exit_code != 0 || ::kill(-pid, 0) == 0 || errno != ESRCH;
}

// Ours, but for the GPUs where it has been given some, without what says our own place among
// processes, and with a mark by which the trainer and all that it starts are found again.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& gpus,
                                         const std::filesystem::path& run_directory) {
  constexpr std::string_view kVisible = "CUDA_VISIBLE_DEVICES=";
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const bool replaced = (!gpus.empty() && text.starts_with(kVisible)) ||
                          text.starts_with(std::string(kRunVariable) + "=");
    if (!replaced && !IsPlace(text)) variables.emplace_back(text);
  }
  variables.push_back(RunMark(run_directory));
  if (!gpus.empty()) variables.push_back(fmt::format("{}{}", kVisible, fmt::join(gpus, ",")));
  return variables;
}

}  // namespace

LocalExecutor::LocalExecutor(size_t slots, GpuPacking gpus)
    : slots_(slots), gpus_(std::move(gpus)), news_event_(MakeEvent()), work_event_(MakeEvent()) {
  const SignalsBlocked quiet;  // they are for the user's thread: they end its wait
  signals_ = quiet.before();
  watcher_ = std::thread([this] { WatchChildren(); });
}

LocalExecutor::~LocalExecutor() {
  {
    const std::lock_guard lock(mutex_);
    leave_ = true;
  }
  Signal(work_event_);
  watcher_.join();
  for (const auto& [pid, child] : children_) {
    if (child.pidfd >= 0) ::close(child.pidfd);
  }
  ::close(news_event_);
  ::close(work_event_);
}

size_t LocalExecutor::Room() const {
  const std::lock_guard lock(mutex_);
  const Clock::time_point since = Clock::now() - kRecently;
  const auto recent = std::count_if(
      recent_ends_.begin(), recent_ends_.end(), [&](const auto& end) { return end > since; });
  const size_t wanted = slots_ + std::min(static_cast<size_t>(recent), kMostWaiting);
  const size_t taken = children_.size() + waiting_.size() + (launching_ ? 1 : 0);
  return wanted > taken ? wanted - taken : 0;
}

size_t LocalExecutor::running() const {
  const std::lock_guard lock(mutex_);
  return children_.size();
}

bool LocalExecutor::Reserve(const std::string& run_id, double memory_bytes) {
  auto gpus = gpus_.Take(run_id, memory_bytes);
  if (gpus) reserved_[run_id] = std::move(*gpus);
  return gpus.has_value();
}

AttemptHandle LocalExecutor::Start(const AttemptJob& job) {
  std::vector<std::string> gpus = std::move(reserved_[job.run_id]);
  reserved_.erase(job.run_id);
  Launch launch{job.argv, EnvironmentWith(gpus, job.run_directory), job.stdout_log, job.stderr_log};
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(
        {job.run_id, job.attempt, job.run_directory, std::move(gpus), std::move(launch)});
  }
  Signal(work_event_);
  return {};
}

void LocalExecutor::Adopt(const AttemptJob& job, const AttemptHandle& handle) {
  throw Failure(FailureCode::kInternal,
                fmt::format("attempt {} of run {} cannot be adopted: process {}",
                            job.attempt,
                            job.run_id,
                            handle.pid));
}

std::vector<AttemptNews> LocalExecutor::Poll(std::chrono::milliseconds timeout) {
  pollfd waiting{news_event_, POLLIN, 0};
  // A signal (Ctrl-C) ends the wait early, which is what the caller wants.
  (void)::poll(&waiting, 1, static_cast<int>(timeout.count()));
  Clear(news_event_);
  std::vector<AttemptNews> news;
  {
    const std::lock_guard lock(mutex_);
    if (broken_ && news_.empty()) std::rethrow_exception(broken_);
    news = std::exchange(news_, {});
  }
  for (const AttemptNews& item : news) {
    if (item.kind != AttemptNews::Kind::kRunning) gpus_.Free(item.run_id);
  }
  return news;
}

void LocalExecutor::Stop(StopMode mode) {
  const std::lock_guard lock(mutex_);
  stop_signal_ = mode == StopMode::kKill ? SIGKILL : SIGTERM;
  for (const Waiting& dropped : std::exchange(waiting_, {})) {
    AttemptNews news;
    news.run_id = dropped.run_id;
    news.attempt = dropped.attempt;
    news.kind = AttemptNews::Kind::kDropped;
    news_.push_back(std::move(news));
  }
  Signal(news_event_);
  // The whole group: a trainer may be a script with children of its own.
  for (const auto& [pid, child] : children_) {
    const bool has_heard = child.leftovers && mode == StopMode::kCheckpoint;
    if (!has_heard) ::kill(-pid, *stop_signal_);
  }
}

// The thread's work.
void LocalExecutor::WatchChildren() {
  try {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (leave_) return;
      }
      StartWaiting();
      WaitForChange();
      TakeInEnds();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    broken_ = std::current_exception();
    Signal(news_event_);
  }
}

void LocalExecutor::WaitForChange() {
  std::vector<pollfd> changes = {{work_event_, POLLIN, 0}};
  int patience = -1;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [pid, child] : children_) {
      if (child.pidfd >= 0) changes.push_back({child.pidfd, POLLIN, 0});
    }
    if (changes.size() <= children_.size()) patience = kLookMilliseconds;
  }
  (void)::poll(changes.data(), changes.size(), patience);
  Clear(work_event_);
}

void LocalExecutor::TakeInEnds() {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  while (!recent_ends_.empty() && recent_ends_.front() <= now - kRecently) recent_ends_.pop_front();
  for (auto child = children_.begin(); child != children_.end();) {
    if (!HasEnded(child->first, child->second)) {
      ++child;
      continue;
    }
    recent_ends_.push_back(now);
    child = children_.erase(child);
    Signal(news_event_);
  }
}

bool LocalExecutor::HasEnded(int pid, Child& child) {
  if (!child.leftovers) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != pid) return false;
    if (child.pidfd >= 0) ::close(std::exchange(child.pidfd, -1));
    AttemptNews end = EndOf(child.run_id, child.attempt, status);
    if (!MayHaveLeft(pid, end)) {
      news_.push_back(std::move(end));
      return true;
    }
    child.leftovers = std::make_unique<Leftovers>(Leftovers{
        std::move(end),
        Orphans({{child.run_id, child.run_directory, pid, /*is_our_child=*/true}}),
        Clock::now(),
        {}});
    if (stop_signal_) child.leftovers->processes.GroupsHaveHeard(*stop_signal_);
  }
  if (!LeftoversHaveEnded(*child.leftovers)) return false;
  news_.push_back(std::move(child.leftovers->end));
  return true;
}

bool LocalExecutor::LeftoversHaveEnded(Leftovers& leftovers) const {
  if (leftovers.processes.none()) return true;
  const Clock::time_point now = Clock::now();
  if (now < leftovers.next_look) return false;
  // Whoever stops the sweep decides how long a trainer may save.
  const bool patient = stop_signal_ ? *stop_signal_ == SIGTERM
                                    : now - leftovers.since < kPatienceWithLeftovers;
  leftovers.processes.SignalOnce(patient ? SIGTERM : SIGKILL);
  leftovers.processes.Look();
  leftovers.next_look = now + kLookAtLeftovers;
  return leftovers.processes.none();
}

// Without the lock while a program starts: its user goes on meanwhile.
void LocalExecutor::StartWaiting() {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (waiting_.empty() || children_.size() >= slots_) return;
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    launching_ = true;
    lock.unlock();
    const pid_t pid = next.launch.Start(signals_);
    lock.lock();
    launching_ = false;
    Launched(next, pid);
  }
}

void LocalExecutor::Launched(const Waiting& started, pid_t pid) {
  // Some containers and old kernels do not allow it, and descriptors can run out.
  const int pidfd =
      children_.size() < kMostWatched ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1;
  children_[pid] = Child{started.run_id, started.attempt, started.run_directory, pidfd, nullptr};
  if (stop_signal_) ::kill(-pid, *stop_signal_);
  AttemptNews news;
  news.run_id = started.run_id;
  news.attempt = started.attempt;
  news.kind = AttemptNews::Kind::kRunning;
  news.handle = {HostName(), pid, ""};
  news.detail = fmt::format("process {}", pid);
  if (!started.gpus.empty()) news.detail += fmt::format(" on {}", fmt::join(started.gpus, ", "));
  news_.push_back(std::move(news));
  Signal(news_event_);
}

}  // namespace sweep
