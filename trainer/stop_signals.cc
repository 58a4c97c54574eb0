#include "trainer/stop_signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <initializer_list>
#include <thread>

#include "core/failure.h"

namespace sweep {
namespace {

std::atomic<bool> stop_requested{false};
std::atomic<bool> checkpoint_requested{false};

bool IsIgnored(int signal) {
  struct sigaction action = {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Without those that are ignored: blocked, they would wait for sigwait all the same.
sigset_t StopSet() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    if (!IsIgnored(signal)) ::sigaddset(&set, signal);
  }
  return set;
}

[[noreturn]] void TakeSignals() {
  const sigset_t set = StopSet();
  int interrupts = 0;
  for (;;) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0) continue;
    if (signal == SIGUSR1) {
      checkpoint_requested = true;
      continue;
    }
    if (signal == SIGINT && ++interrupts > 1) ::_exit(static_cast<int>(FailureCode::kInterrupted));
    stop_requested = true;
  }
}

}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSet();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void UnblockStopSignals() {
  const sigset_t set = StopSet();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

StopSignals::StopSignals() {
  std::thread(TakeSignals).detach();
}

bool StopSignals::StopRequested() const {
  return stop_requested;
}

bool StopSignals::TakeCheckpointRequest() {
  return checkpoint_requested.exchange(false);
}

}  // namespace sweep
