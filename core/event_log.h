#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

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

/// The longest line that is taken in. Longer ones are passed over, told by their place.
inline constexpr int64_t kMostEventLineBytes = int64_t{1} << 20;
/// Of one attempt's file; what follows is not taken in, and that is told.
inline constexpr int64_t kMostEventBytes = int64_t{1} << 30;

/// Some of the lines of an `events.jsonl`.
struct EventPiece {
  std::vector<Json> events;           ///< whole lines that CheckEvent accepts
  std::vector<std::string> problems;  ///< what is wrong with others, with file and byte
  int64_t end = 0;    ///< the byte after the last line that was taken in or passed over
  bool more = false;  ///< another piece may follow at `end`
};

/// Reads whole lines from byte `offset` on, a few MiB at most; nothing where there is no file. A
/// last line without its newline is left for the next time. Throws what FileReader throws.
[[nodiscard]] EventPiece ReadEvents(const std::filesystem::path& path,
                                    int64_t offset,
                                    int64_t most_samples);

}  // namespace sweep
