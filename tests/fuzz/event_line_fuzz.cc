#include "core/event_log.h"

#include <cstdlib>

#include "core/failure.h"
#include "core/trainer_event.h"
#include "tests/fuzz/fuzz.h"

namespace sweep {

void Read(std::string_view text) {
  const EventLine line = ParseEventLine(text);
  if (line.status != EventLine::Status::kWhole) return;
  const std::string sealed = SealEventLine(line.event);
  if (ParseEventLine(sealed.substr(0, sealed.size() - 1)).event != line.event) std::abort();
  try {
    CheckEvent(line.event, 1000);
  } catch (const Malformed&) {  // NOLINT(bugprone-empty-catch)
    // A clear error is as good as a result.
  }
}

}  // namespace sweep
