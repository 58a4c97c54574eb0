#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace sweep {

/// One line of an attempt's `events.jsonl`: an object that begins anywhere and ends with
/// `"crc32":"…"}`, the CRC-32 (8 hexadecimal digits) of all bytes of the line before `,"crc32":`. A
/// line may be written by any program in any language; docs/run_directory.md shows a Python one.
struct EventLine {
  enum class Status {
    kWhole,    ///< parsed, and the checksum holds
    kCorrupt,  ///< a full line whose checksum or JSON is wrong: reported, never silently dropped
  };
  Status status = Status::kCorrupt;
  Json event;  ///< without the checksum; null when corrupt
};

/// The line for `event` (an object), checksum and newline included.
[[nodiscard]] std::string SealEventLine(const Json& event);

/// Reads one line, without its newline. A torn tail (no newline yet) is the caller's to wait for.
[[nodiscard]] EventLine ParseEventLine(std::string_view line);

}  // namespace sweep
