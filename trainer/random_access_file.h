#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/read_file.h"

namespace sweep {

/// A regular file that is read at any place by any thread.
class RandomAccessFile {
 public:
  /// Throws what OpenDataFile throws.
  explicit RandomAccessFile(const std::filesystem::path& path);

  [[nodiscard]] int64_t size() const { return file_.size(); }  ///< bytes
  /// Throws Failure(kData) when the file does not have all of them; nothing is allocated then.
  [[nodiscard]] std::string Read(int64_t offset, int64_t bytes) const;
  /// Asks the kernel to read them into its cache, and does not wait.
  void ReadAhead(int64_t offset, int64_t bytes) const;

 private:
  FileReader file_;
};

}  // namespace sweep
