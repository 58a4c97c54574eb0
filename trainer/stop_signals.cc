#include "trainer/stop_signals.h"

#include <atomic>
#include <csignal>

namespace sweep {
namespace {

std::atomic<bool> stop_requested{false};
std::atomic<bool> checkpoint_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "handlers may only touch lock-free flags");

void HandleStop(int) {
  stop_requested = true;
}
void HandleCheckpoint(int) {
  checkpoint_requested = true;
}

void Install(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  Install(SIGTERM, HandleStop);
  Install(SIGINT, HandleStop);
  Install(SIGUSR1, HandleCheckpoint);
}

bool StopSignals::StopRequested() const {
  return stop_requested;
}

bool StopSignals::TakeCheckpointRequest() {
  return checkpoint_requested.exchange(false);
}

}  // namespace sweep
