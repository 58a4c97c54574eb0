#include "orchestrator/subprocess.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "orchestrator/interrupt.h"

namespace sweep {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Timed {
  CommandResult result;
  double seconds = 0;
};

Timed Shell(const std::string& script, milliseconds timeout) {
  const auto begin = Clock::now();
  Timed timed{RunCommand({"/bin/bash", "-c", script}, timeout)};
  timed.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return timed;
}

}  // namespace

TEST_CASE("RunCommand gives both streams and the exit code") {
  const Timed timed = Shell("echo out; echo error >&2; exit 3", milliseconds(5000));
  CHECK(timed.result.exit_code == 3);
  CHECK(timed.result.out == "out\n");
  CHECK(timed.result.error == "error\n");
}

TEST_CASE("A command that closes its output and stays is killed at its time limit") {
  const Timed timed = Shell("exec >&- 2>&-; sleep 20", milliseconds(300));
  CHECK(timed.result.timed_out);
  CHECK(timed.seconds < 5);
}

TEST_CASE("A command has ended though a process that it started holds its output open") {
  const Timed timed = Shell("sleep 20 & echo $!", milliseconds(10000));
  ::kill(std::stoi(timed.result.out), SIGKILL);
  CHECK(timed.result.exit_code == 0);
  CHECK(timed.seconds < 5);
}

TEST_CASE("Output without end is not taken for ever") {
  const Timed timed = Shell("yes", milliseconds(20000));
  CHECK_FALSE(timed.result.ok());
  CHECK(timed.result.out.size() <= size_t{64} << 20);
}

TEST_CASE("All of a long output is taken") {
  const Timed timed = Shell("head -c 5000000 /dev/zero", milliseconds(20000));
  CHECK(timed.result.ok());
  CHECK(timed.result.out.size() == 5000000);
}

TEST_CASE("A command that is silent does not keep one waiting who asks to stop") {
  const InterruptGuard interrupts;
  std::thread user([] {
    std::this_thread::sleep_for(milliseconds(200));
    ::kill(::getpid(), SIGINT);
  });
  const Timed timed = Shell("sleep 20", milliseconds(15000));
  user.join();
  CHECK(timed.result.timed_out);
  CHECK(timed.seconds < 8);
}

}  // namespace sweep
