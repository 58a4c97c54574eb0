#include "orchestrator/interrupt.h"

#include <csignal>

namespace sweep {
namespace {

volatile std::sig_atomic_t interrupts = 0;
struct sigaction saved_int;
struct sigaction saved_term;

void Count(int /*signal*/) {
  interrupts = interrupts + 1;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupts = 0;
  struct sigaction action{};
  action.sa_handler = Count;
  ::sigaction(SIGINT, &action, &saved_int);
  ::sigaction(SIGTERM, &action, &saved_term);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &saved_int, nullptr);
  ::sigaction(SIGTERM, &saved_term, nullptr);
}

int InterruptGuard::count() const {
  return InterruptCount();
}

int InterruptCount() {
  return interrupts;
}

}  // namespace sweep
