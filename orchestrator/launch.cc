#include "orchestrator/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

constexpr int kCannotExecute = 127;

// What the child needs. It shares our memory until it is another program (vfork, which copies no
// page tables), so it allocates nothing, changes nothing of ours but `error`, and calls only what
// may be called in a signal handler.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<char*> environment;
  int stdout_fd = -1;
  int stderr_fd = -1;
  sigset_t blocked{};
  pid_t parent = 0;
  volatile int error = 0;  // errno of an exec that failed
};

[[noreturn]] void BecomeProgram(ChildPlan& plan) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != plan.parent)
    ::_exit(kCannotExecute);  // sweep died before the line above took effect
  ::signal(SIGINT, SIG_IGN);  // forgets a Ctrl-C that came before the group was our own
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGXFSZ, SIG_DFL);  // this and SIGPIPE are ignored in `sweep`, see PrepareProcess
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &plan.blocked, nullptr);
  const int null_input = ::open("/dev/null", O_RDONLY);
  ::dup2(null_input, STDIN_FILENO);
  ::dup2(plan.stdout_fd, STDOUT_FILENO);
  ::dup2(plan.stderr_fd, STDERR_FILENO);
  ::execvpe(plan.argv[0], plan.argv.data(), plan.environment.data());
  plan.error = errno;
  ::_exit(kCannotExecute);
}

// As exec takes them: the words must outlive it.
std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

class Log {
 public:
  explicit Log(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    if (fd_ < 0) ThrowFileError("cannot open", path, errno);
  }
  ~Log() { ::close(fd_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

pid_t Launch::Start(const sigset_t& blocked) const {
  const Log out(stdout_log);
  const Log err(stderr_log);
  ChildPlan plan;
  plan.argv = Pointers(argv);
  plan.environment = Pointers(environment);
  plan.stdout_fd = out.fd();
  plan.stderr_fd = err.fd();
  plan.blocked = blocked;
  plan.parent = ::getpid();
  const SignalsBlocked quiet;  // no handler of ours may run in the child while it has our memory
  // posix_spawn cannot ask for PR_SET_PDEATHSIG.
  const pid_t pid = ::vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) BecomeProgram(plan);
  const int error = pid < 0 ? errno : plan.error;
  if (error == 0) return pid;
  if (pid > 0) ::waitpid(pid, nullptr, 0);
  throw Failure(FailureCode::kUsage,
                fmt::format("cannot start the trainer '{}': {}", argv[0], std::strerror(error)));
}

}  // namespace sweep
