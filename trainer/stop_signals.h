#pragma once

namespace sweep {

/// SIGTERM and SIGINT ask for a checkpoint and an end, SIGUSR1 for a checkpoint alone. Handlers
/// only set flags; the training loop reads them between steps.
class StopSignals {
 public:
  /// Installs the handlers for the rest of the process.
  StopSignals();

  [[nodiscard]] bool StopRequested() const;

  /// True once for each SIGUSR1 (several before the call count as one).
  [[nodiscard]] bool TakeCheckpointRequest();
};

}  // namespace sweep
