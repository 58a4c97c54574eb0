#include "core/event_log.h"

#include <fmt/format.h>

#include "core/failure.h"
#include "core/hash.h"

namespace sweep {
namespace {
constexpr std::string_view kMark = ",\"crc32\":\"";
constexpr size_t kDigits = 8;
constexpr std::string_view kEnd = "\"}";
}  // namespace

std::string SealEventLine(const Json& event) {
  std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace);
  line.pop_back();  // the closing brace
  const uint32_t checksum = Crc32(line);
  return fmt::format("{}{}{:08x}{}\n", line, kMark, checksum, kEnd);
}

EventLine ParseEventLine(std::string_view line) {
  EventLine parsed;
  const size_t tail = kMark.size() + kDigits + kEnd.size();
  if (line.size() < tail) return parsed;
  const std::string_view body = line.substr(0, line.size() - tail);
  if (line.substr(body.size()) != fmt::format("{}{:08x}{}", kMark, Crc32(body), kEnd))
    return parsed;
  try {
    parsed.event = ParseJson(std::string(body) + "}", "event");
  } catch (const Malformed&) {
    return parsed;
  }
  if (!parsed.event.is_object()) return EventLine();
  parsed.status = EventLine::Status::kWhole;
  return parsed;
}

}  // namespace sweep
