#pragma once

#include "core/run_directory.h"
#include "trainer/data_library.h"
#include "trainer/event_writer.h"
#include "trainer/peers.h"
#include "trainer/stop_signals.h"

namespace sweep {

/// What an attempt works with; all of it outlives the work.
struct AttemptContext {
  const RunDirectory& directory;
  const RunSpec& spec;
  const AttemptRequest& request;
  EventWriter& events;
  StopSignals& signals;
  DataLibrary& data;
  Peers* peers = nullptr;  ///< the other processes of this attempt; null: there are none
  int64_t local_rank = 0;  ///< of this process on its machine
};

/// Every process of an attempt calls it; rank 0 alone writes. Trains the run to its end, from its
/// newest valid checkpoint if there is one, and publishes result.json: `completed`, or `diverged`
/// after a loss that is not finite. Throws Failure(kInterrupted) after a checkpoint when asked to
/// stop.
void TrainToResult(const AttemptContext& context);

}  // namespace sweep
