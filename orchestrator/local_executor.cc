#include "orchestrator/local_executor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/failure.h"
#include "core/files.h"
#include "db/lease.h"

namespace sweep {
namespace {

constexpr int kCannotExecute = 127;

// Everything the child needs, made before fork: after it only async-signal-safe calls are allowed.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<char*> environment;
  int stdout_fd = -1;
  int stderr_fd = -1;
  int error_pipe = -1;  // closed by a successful exec, else carries errno
  pid_t parent = 0;
};

[[noreturn]] void BecomeTrainer(const ChildPlan& plan) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != plan.parent)
    ::_exit(kCannotExecute);  // sweep died before the line above took effect
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  const int null_input = ::open("/dev/null", O_RDONLY);
  ::dup2(null_input, STDIN_FILENO);
  ::dup2(plan.stdout_fd, STDOUT_FILENO);
  ::dup2(plan.stderr_fd, STDERR_FILENO);
  ::execvpe(plan.argv[0], plan.argv.data(), plan.environment.data());
  const int error = errno;
  (void)!::write(plan.error_pipe, &error, sizeof(error));
  ::_exit(kCannotExecute);
}

// Ours, but for the GPUs where it has been given some.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& gpus) {
  constexpr std::string_view kVisible = "CUDA_VISIBLE_DEVICES=";
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (gpus.empty() || !std::string_view(*variable).starts_with(kVisible))
      variables.emplace_back(*variable);
  }
  if (!gpus.empty()) variables.push_back(fmt::format("{}{}", kVisible, fmt::join(gpus, ",")));
  return variables;
}

// As exec takes them: the words must outlive it.
std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

int OpenLog(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) ThrowFileError("cannot open", path, errno);
  return fd;
}

// errno of a failed exec, or 0.
int ReadExecError(int pipe_fd) {
  int error = 0;
  ssize_t size = 0;
  do {
    size = ::read(pipe_fd, &error, sizeof(error));
  } while (size < 0 && errno == EINTR);
  return size == sizeof(error) ? error : 0;
}

}  // namespace

LocalExecutor::~LocalExecutor() {
  for (const auto& [pid, child] : children_) ::close(child.pidfd);
}

bool LocalExecutor::Reserve(const std::string& run_id, double memory_bytes) {
  auto gpus = gpus_.Take(run_id, memory_bytes);
  if (gpus) reserved_[run_id] = std::move(*gpus);
  return gpus.has_value();
}

AttemptHandle LocalExecutor::Start(const AttemptJob& job) {
  int error_pipe[2] = {-1, -1};
  if (::pipe2(error_pipe, O_CLOEXEC) != 0) {
    throw Failure(FailureCode::kInternal,
                  fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  const std::vector<std::string> gpus = std::move(reserved_[job.run_id]);
  reserved_.erase(job.run_id);
  std::vector<std::string> words = job.argv;
  std::vector<std::string> environment = EnvironmentWith(gpus);
  ChildPlan plan;
  plan.argv = Pointers(words);
  plan.environment = Pointers(environment);
  plan.stdout_fd = OpenLog(job.stdout_log);
  plan.stderr_fd = OpenLog(job.stderr_log);
  plan.error_pipe = error_pipe[1];
  plan.parent = ::getpid();

  const pid_t pid = ::fork();
  if (pid == 0) BecomeTrainer(plan);
  for (const int fd : {plan.stdout_fd, plan.stderr_fd, error_pipe[1]}) ::close(fd);
  const int error = pid < 0 ? errno : ReadExecError(error_pipe[0]);
  ::close(error_pipe[0]);
  if (error != 0) {
    if (pid > 0) ::waitpid(pid, nullptr, 0);
    throw Failure(
        FailureCode::kUsage,
        fmt::format("cannot start the trainer '{}': {}", job.argv[0], std::strerror(error)));
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  children_[pid] = Child{job.run_id, job.attempt, pidfd};
  return {
      HostName(), pid, "", true, gpus.empty() ? "" : fmt::format(" on {}", fmt::join(gpus, ", "))};
}

void LocalExecutor::Adopt(const AttemptJob& job, const AttemptHandle& handle) {
  throw Failure(FailureCode::kInternal,
                fmt::format("attempt {} of run {} cannot be adopted: process {}",
                            job.attempt,
                            job.run_id,
                            handle.pid));
}

std::vector<AttemptNews> LocalExecutor::Poll(std::chrono::milliseconds timeout) {
  std::vector<pollfd> waiting;
  for (const auto& [pid, child] : children_) waiting.push_back({child.pidfd, POLLIN, 0});
  // A signal (Ctrl-C) ends the wait early, which is what the caller wants.
  (void)::poll(waiting.data(), waiting.size(), static_cast<int>(timeout.count()));

  std::vector<AttemptNews> ends;
  for (auto child = children_.begin(); child != children_.end();) {
    int status = 0;
    if (::waitpid(child->first, &status, WNOHANG) != child->first) {
      ++child;
      continue;
    }
    AttemptNews& end = ends.emplace_back();
    end.run_id = child->second.run_id;
    end.attempt = child->second.attempt;
    if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    ::close(child->second.pidfd);
    gpus_.Free(end.run_id);
    child = children_.erase(child);
  }
  return ends;
}

void LocalExecutor::Stop(StopMode mode) {
  const int signal = mode == StopMode::kKill ? SIGKILL : SIGTERM;
  // The whole group: a trainer may be a script with children of its own.
  for (const auto& [pid, child] : children_) ::kill(-pid, signal);
}

}  // namespace sweep
