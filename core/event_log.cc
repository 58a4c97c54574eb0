#include "core/event_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/read_file.h"
#include "core/trainer_event.h"

namespace sweep {
namespace {

constexpr std::string_view kMark = ",\"crc32\":\"";
constexpr size_t kDigits = 8;
constexpr std::string_view kEnd = "\"}";

// Reads one piece of a file line by line; problems are told by their byte.
class PieceReader {
 public:
  PieceReader(const std::filesystem::path& path, int64_t offset, int64_t most_samples)
      : file_(path), most_samples_(most_samples) {
    piece_.end = offset;
  }

  EventPiece Read() {
    constexpr int64_t kPieceBytes = 4 * kMostEventLineBytes;
    file_.Seek(piece_.end);
    const int64_t room = std::min(kPieceBytes, kMostEventBytes - piece_.end);
    const std::string text = ReadUpTo(std::clamp<int64_t>(file_.size() - piece_.end, 0, room));
    TakeLines(std::string_view(text).substr(0, text.rfind('\n') + 1));  // npos + 1 == 0
    const bool cut = static_cast<int64_t>(text.size()) == room;
    if (cut && text.rfind('\n') == std::string::npos) PassOverLine();
    if (cut) NoteLimit();
    piece_.more = cut && piece_.end < kMostEventBytes;
    SumUpRest();
    return std::move(piece_);
  }

 private:
  std::string ReadUpTo(int64_t most) {
    std::string text(static_cast<size_t>(most), '\0');
    size_t size = 0;
    while (size < text.size()) {
      const size_t got = file_.Read(text.data() + size, text.size() - size);
      if (got == 0) break;
      size += got;
    }
    text.resize(size);
    return text;
  }

  void TakeLines(std::string_view text) {
    while (!text.empty()) {
      const size_t newline = text.find('\n');
      TakeLine(text.substr(0, newline));
      piece_.end += static_cast<int64_t>(newline) + 1;
      text.remove_prefix(newline + 1);
    }
  }

  void TakeLine(std::string_view line) {
    if (static_cast<int64_t>(line.size()) > kMostEventLineBytes) {
      Tell(fmt::format("is longer than {} bytes and was skipped", kMostEventLineBytes));
      return;
    }
    EventLine parsed = ParseEventLine(line);
    if (parsed.status != EventLine::Status::kWhole) {
      Tell("is damaged and was skipped");
      return;
    }
    try {
      CheckEvent(parsed.event, most_samples_);
      piece_.events.push_back(std::move(parsed.event));
    } catch (const Malformed& malformed) {
      Tell(fmt::format("was skipped: {}", malformed.what()));
    }
  }

  // To its end, or as far as it is written, without holding it.
  void PassOverLine() {
    Tell(fmt::format("is longer than {} bytes and was skipped", kMostEventLineBytes));
    file_.Seek(piece_.end);
    while (piece_.end < kMostEventBytes) {
      const std::string text =
          ReadUpTo(std::min(kMostEventLineBytes, kMostEventBytes - piece_.end));
      const size_t newline = text.find('\n');
      piece_.end += static_cast<int64_t>(newline == std::string::npos ? text.size() : newline + 1);
      if (newline != std::string::npos || text.empty()) return;
    }
  }

  // A line that goes on beyond the limit was never taken in: nothing more will be.
  void NoteLimit() {
    if (kMostEventBytes - piece_.end > kMostEventLineBytes || file_.size() <= kMostEventBytes)
      return;
    piece_.end = kMostEventBytes;
    piece_.problems.push_back(
        fmt::format("{}: what follows byte {} is not taken in: too many events",
                    file_.path().string(),
                    kMostEventBytes));
  }

  // A file that holds something else altogether has many lines.
  void Tell(const std::string& what) {
    constexpr size_t kMostTold = 3;
    if (piece_.problems.size() >= kMostTold) {
      ++untold_;
      return;
    }
    piece_.problems.push_back(
        fmt::format("{}: the line at byte {} {}", file_.path().string(), piece_.end, what));
  }

  void SumUpRest() {
    if (untold_ == 0) return;
    piece_.problems.push_back(fmt::format("{}: {} more lines before byte {} were skipped",
                                          file_.path().string(),
                                          untold_,
                                          piece_.end));
  }

  FileReader file_;
  int64_t most_samples_;
  EventPiece piece_;
  size_t untold_ = 0;  // lines with a problem beyond the first few
};

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

EventPiece ReadEvents(const std::filesystem::path& path, int64_t offset, int64_t most_samples) {
  if (!IsTaken(path) || offset >= kMostEventBytes) {
    EventPiece nothing;
    nothing.end = offset;
    return nothing;
  }
  return PieceReader(path, offset, most_samples).Read();
}

}  // namespace sweep
