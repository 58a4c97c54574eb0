#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sweep {

/// A file that is read at any place by any thread.
class RandomAccessFile {
 public:
  /// Throws Failure(kData) naming the path when it cannot be opened.
  explicit RandomAccessFile(std::filesystem::path path);
  ~RandomAccessFile();
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  [[nodiscard]] int64_t size() const { return size_; }  ///< bytes
  /// Throws Failure(kData) when the file does not have all of them.
  [[nodiscard]] std::string Read(int64_t offset, int64_t bytes) const;
  /// Asks the kernel to read them into its cache, and does not wait.
  void ReadAhead(int64_t offset, int64_t bytes) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  int64_t size_ = 0;
};

}  // namespace sweep
