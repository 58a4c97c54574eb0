#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"

namespace sweep {

/// `journal.jsonl`: what `sweep` did and meant to do, in order, each line with a checksum. It is
/// written and synced before the database commits, so the database can always be brought up to it,
/// or be made again from it.
class Journal {
 public:
  /// Opens for appending; a torn last line (a crash while writing) is cut off. Throws
  /// Failure(kDatabase).
  explicit Journal(std::filesystem::path path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Appends and syncs. Returns the file's new length.
  int64_t Append(const std::vector<Json>& entries);

  struct Tail {
    std::vector<Json> entries;
    int64_t end = 0;  ///< offset after the last whole line
  };
  /// Whole lines from byte `offset` on. Throws Failure(kDatabase) at a line whose checksum is
  /// wrong: the journal is the truth, and a hole in it is for a person to judge.
  [[nodiscard]] static Tail ReadFrom(const std::filesystem::path& path, int64_t offset);

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  int64_t length_ = 0;
};

}  // namespace sweep
