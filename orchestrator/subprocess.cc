#include "orchestrator/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

extern char** environ;

namespace sweep {
namespace {

using Clock = std::chrono::steady_clock;

// Reading end of one of the child's streams.
struct Stream {
  int fd = -1;
  std::string* text = nullptr;
};

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

// Reads both streams to their ends; false when the deadline came first.
bool ReadAll(std::array<Stream, 2>& streams, Clock::time_point deadline) {
  std::array<char, 65536> buffer{};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    std::array<pollfd, 2> waiting = {pollfd{streams[0].fd, POLLIN, 0},
                                     pollfd{streams[1].fd, POLLIN, 0}};
    const int ready = ::poll(waiting.data(), waiting.size(), MillisecondsUntil(deadline));
    if (ready == 0) return false;
    if (ready < 0 && errno == EINTR && Clock::now() < deadline) continue;
    if (ready < 0) return false;
    for (size_t i = 0; i < streams.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      const ssize_t size = ::read(streams[i].fd, buffer.data(), buffer.size());
      if (size > 0) {
        streams[i].text->append(buffer.data(), static_cast<size_t>(size));
      } else if (size == 0 || errno != EINTR) {
        ::close(streams[i].fd);
        streams[i].fd = -1;
      }
    }
  }
  return true;
}

}  // namespace

CommandResult RunCommand(const std::vector<std::string>& argv, std::chrono::milliseconds timeout) {
  CommandResult result;
  const auto deadline = Clock::now() + timeout;
  std::array<int, 2> out{};
  std::array<int, 2> error{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return result;
  if (::pipe2(error.data(), O_CLOEXEC) != 0) {
    for (const int fd : out) ::close(fd);
    return result;
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, error[1], STDERR_FILENO);
  // A process group of its own: Ctrl-C at the terminal is for `sweep`, which finishes its question.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);

  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t pid = 0;
  const int failure =
      ::posix_spawnp(&pid, pointers[0], &actions, &attributes, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  ::close(out[1]);
  ::close(error[1]);
  std::array<Stream, 2> streams = {Stream{out[0], &result.out}, Stream{error[0], &result.error}};
  if (failure != 0) {
    for (const Stream& stream : streams) ::close(stream.fd);
    result.exit_code = kNotFound;
    result.error = argv[0] + ": " + std::strerror(failure);
    return result;
  }
  result.timed_out = !ReadAll(streams, deadline);
  if (result.timed_out) ::kill(-pid, SIGKILL);
  for (const Stream& stream : streams) {
    if (stream.fd >= 0) ::close(stream.fd);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!result.timed_out && WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace sweep
