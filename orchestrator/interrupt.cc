#include "orchestrator/interrupt.h"

#include <array>
#include <csignal>
#include <cstddef>

#include "db/lock_wait.h"

namespace sweep {
namespace {

volatile std::sig_atomic_t interrupts = 0;
// Closing a terminal (SIGHUP) asks for the same as Ctrl-C, where it is not ignored (nohup).
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, kSignals.size()> saved;

void Count(int /*signal*/) {
  interrupts = interrupts + 1;
  StopWaitingForLocks(true);
}

// A terminal that closes may send it several times: that is no wish to lose work.
void CountOnce(int /*signal*/) {
  if (interrupts == 0) interrupts = 1;
  StopWaitingForLocks(true);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupts = 0;
  StopWaitingForLocks(false);
  struct sigaction action {};
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &saved[i]);
    action.sa_handler = kSignals[i] == SIGHUP ? CountOnce : Count;
    const bool ignored = kSignals[i] == SIGHUP && saved[i].sa_handler == SIG_IGN;
    if (!ignored) ::sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &saved[i], nullptr);
  StopWaitingForLocks(false);
}

int InterruptGuard::count() const {
  return InterruptCount();
}

int InterruptCount() {
  return interrupts;
}

}  // namespace sweep
