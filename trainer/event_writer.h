#pragma once

#include <filesystem>
#include <string>

#include "core/json.h"

namespace sweep {

/// Appends to one attempt's events.jsonl (docs/run_directory.md): each event is one write of one
/// sealed line with the next `seq` and the time.
class EventWriter {
 public:
  /// For a process whose events are not wanted: they go nowhere.
  EventWriter() = default;
  /// Continues after what the file already holds. Throws Failure(kDatabase).
  explicit EventWriter(const std::filesystem::path& path);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  /// `members` is an object; `seq`, `at` and `type` are added to it.
  void Write(const std::string& type, Json members);

 private:
  void Append(const std::string& text);

  std::filesystem::path path_;
  int fd_ = -1;
  int64_t seq_ = 0;
  bool torn_ = false;  ///< the last line was cut short: the next begins with a line break
};

}  // namespace sweep
