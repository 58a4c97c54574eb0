#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/descriptor.h"
#include "core/json.h"

namespace sweep {

/// `journal.jsonl`: what `sweep` did and meant to do, in order, each line with a checksum. It is
/// written and synced before the database commits, so the database can always be brought up to it,
/// or be made again from it.
class Journal {
 public:
  /// Opens for appending; a torn last line (a crash while writing) is cut off. Throws
  /// Failure(kDatabase), also for a link or what is no regular file.
  explicit Journal(std::filesystem::path path);

  /// Appends and syncs. Returns the file's new length.
  int64_t Append(const std::vector<Json>& entries);

  struct Entry {
    int64_t at = 0;  ///< offset of its line
    Json entry;
  };
  struct Tail {
    std::vector<Entry> entries;
    std::vector<int64_t> damaged;  ///< offsets of lines whose checksum does not hold
    int64_t end = 0;               ///< offset after the last whole line
    bool was_cut = false;          ///< the file ends before the offset that was asked for
  };
  /// Whole lines from byte `offset` on; a file that is not there has none. A damaged line costs
  /// itself alone. Throws Failure(kDatabase) when the file cannot be read.
  [[nodiscard]] static Tail ReadFrom(const std::filesystem::path& path, int64_t offset);

  /// Puts a journal without its damaged lines in the place of one that has some; the old one stays
  /// beside it as `journal.jsonl.old`. Returns the offsets of those lines.
  static std::vector<int64_t> RemoveDamagedLines(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  Descriptor fd_;
  int64_t length_ = 0;
};

}  // namespace sweep
