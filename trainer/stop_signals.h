#pragma once

namespace sweep {

/// Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 in this thread and in all that it starts from now on.
/// `main` calls it before any other thread exists. No handler of these signals may ever run: its
/// frame would be laid onto the stack of whichever thread the kernel picks, and the kernels that
/// oneDNN compiles while it runs point the stack pointer into their workspace on the heap.
void BlockStopSignals();

/// The opposite, for commands that save nothing and may simply be ended by these signals.
void UnblockStopSignals();

/// SIGTERM, SIGINT and SIGHUP ask for a checkpoint and an end, SIGUSR1 for a checkpoint alone. One
/// thread takes them (sigwait) and sets flags, which the work reads between steps. A second SIGINT,
/// from somebody at a keyboard who will not wait, ends the process at once with exit code 130.
/// Signals that are ignored when the program starts (nohup) stay ignored.
class StopSignals {
 public:
  /// Starts the thread, for the rest of the process. BlockStopSignals has to come first.
  StopSignals();

  [[nodiscard]] bool StopRequested() const;

  /// True once for each SIGUSR1 (several before the call count as one).
  [[nodiscard]] bool TakeCheckpointRequest();
};

}  // namespace sweep
