#include "core/event_log.h"

#include <cstdlib>
#include "tests/fuzz/fuzz.h"

namespace sweep {

void Read(std::string_view text) {
  const EventLine line = ParseEventLine(text);
  if (line.status != EventLine::Status::kWhole) return;
  const std::string sealed = SealEventLine(line.event);
  if (ParseEventLine(sealed.substr(0, sealed.size() - 1)).event != line.event) std::abort();
}

}  // namespace sweep
