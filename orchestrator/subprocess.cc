#include "orchestrator/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "core/descriptor.h"
#include "orchestrator/interrupt.h"

extern char** environ;

namespace sweep {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kLook = milliseconds(20);         // between two looks at a process that is silent
constexpr auto kLookAtEnding = milliseconds(1);  // the same once it has closed its output
constexpr auto kAfterInterrupt = std::chrono::seconds(2);
constexpr auto kUntilKilled = std::chrono::seconds(2);
constexpr size_t kMostOutput = size_t{64} << 20;  // bytes of each stream

struct Pipe {
  Descriptor read;
  Descriptor write;

  [[nodiscard]] bool Open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  }
};

// Reading end of one of the child's streams.
struct Stream {
  Descriptor fd;
  std::string* text = nullptr;
};

// Takes what is there now, without waiting; closes the stream at its end. False when the stream is
// longer than is taken.
bool TakeIn(Stream& stream, Clock::time_point deadline) {
  std::array<char, 65536> buffer{};
  while (stream.fd.get() >= 0 && Clock::now() < deadline) {
    const ssize_t size = ::read(stream.fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size <= 0) {
      stream.fd.Close();
      return true;
    }
    if (stream.text->size() + static_cast<size_t>(size) > kMostOutput) return false;
    stream.text->append(buffer.data(), static_cast<size_t>(size));
  }
  return true;
}

// A command at work. Its end is the end of its process: the pipes say nothing of it, because a
// process may close them and stay, and one that it started may hold them open after it.
class RunningCommand {
 public:
  RunningCommand(pid_t pid, std::array<Stream, 2>& streams, Clock::time_point deadline)
      : pid_(pid), streams_(streams), deadline_(deadline) {}

  // Fills in how it ended.
  void Wait(CommandResult& result) {
    while (!HasEnded()) {
      HearInterrupts();
      result.timed_out = Clock::now() >= deadline_;
      if (result.timed_out || !TakeInAll(deadline_)) {
        result.error += result.timed_out ? "" : " (more output than is taken)";
        Kill();
        return;
      }
      WaitForMore();
    }
    // What it wrote is in the pipes by now.
    (void)TakeInAll(std::min(deadline_, Clock::now() + kLook * 50));
    if (known_ && WIFEXITED(status_)) result.exit_code = WEXITSTATUS(status_);
  }

 private:
  bool HasEnded() {
    const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
    known_ = ended == pid_;
    return known_ || (ended < 0 && errno == ECHILD);
  }

  // Whoever asks to stop is not kept waiting by a scheduler that is silent.
  void HearInterrupts() {
    if (interrupts_ == InterruptCount()) return;
    interrupts_ = InterruptCount();
    deadline_ = std::min(deadline_, Clock::now() + kAfterInterrupt);
  }

  bool TakeInAll(Clock::time_point until) {
    return TakeIn(streams_[0], until) && TakeIn(streams_[1], until);
  }

  void WaitForMore() {
    std::array<pollfd, 2> waiting = {pollfd{streams_[0].fd.get(), POLLIN, 0},
                                     pollfd{streams_[1].fd.get(), POLLIN, 0}};
    const bool silent = streams_[0].fd.get() < 0 && streams_[1].fd.get() < 0;
    const auto look = silent ? kLookAtEnding : kLook;
    (void)::poll(waiting.data(), waiting.size(), static_cast<int>(look.count()));
  }

  // One that cannot be killed (its disk hangs) is left behind.
  void Kill() {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    const auto give_up = Clock::now() + kUntilKilled;
    while (!HasEnded() && Clock::now() < give_up) std::this_thread::sleep_for(kLookAtEnding);
  }

  pid_t pid_;
  std::array<Stream, 2>& streams_;
  Clock::time_point deadline_;
  int interrupts_ = InterruptCount();
  int status_ = 0;
  bool known_ = false;
};

// Starts it with the writing ends as its output; returns errno of a start that failed.
int Spawn(std::vector<std::string> words, const Pipe& out, const Pipe& error, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, error.write.get(), STDERR_FILENO);
  // A process group of its own: Ctrl-C at the terminal is for `sweep`, which finishes its question.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t ignored_here;  // see PrepareProcess
  ::sigemptyset(&ignored_here);
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::sigaddset(&ignored_here, signal);
  ::posix_spawnattr_setsigdefault(&attributes, &ignored_here);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int failure =
      ::posix_spawnp(&pid, pointers[0], &actions, &attributes, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return failure;
}

}  // namespace

CommandResult RunCommand(const std::vector<std::string>& argv, milliseconds timeout) {
  CommandResult result;
  const auto deadline = Clock::now() + timeout;
  Pipe out;
  Pipe error;
  if (!out.Open() || !error.Open()) {
    result.error = argv[0] + ": " + std::strerror(errno);
    return result;
  }
  pid_t pid = 0;
  if (const int failure = Spawn(argv, out, error, pid); failure != 0) {
    result.exit_code = kNotFound;
    result.error = argv[0] + ": " + std::strerror(failure);
    return result;
  }
  out.write.Close();
  error.write.Close();
  std::array<Stream, 2> streams = {Stream{std::move(out.read), &result.out},
                                   Stream{std::move(error.read), &result.error}};
  RunningCommand(pid, streams, deadline).Wait(result);
  return result;
}

}  // namespace sweep
