#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "core/descriptor.h"
#include "core/failure.h"

namespace sweep {

/// What may stand under a path that is read.
enum class FileKind {
  /// A regular file. A pipe, device or socket is refused without waiting for it: files of a store
  /// are written by others, and a pipe there would stop the program for ever.
  kRegular,
  /// Also a pipe or device, as a person may name on the command line (`<(command)`, /dev/stdin).
  kAny,
};

/// The most bytes `ReadFile` takes unless its caller states another limit: 1 GiB.
inline constexpr int64_t kMostFileBytes = int64_t{1} << 30;
/// The limit for files that people write by hand or that describe one run: 64 MiB.
inline constexpr int64_t kMostDocumentBytes = int64_t{64} << 20;

/// Reads a file piece by piece. All of its functions throw what `ThrowReadError` throws.
class FileReader {
 public:
  /// Throws Malformed when the path is of another kind.
  explicit FileReader(std::filesystem::path path, FileKind kind = FileKind::kRegular);
  /// The next bytes, at most `size`; 0 at the end.
  [[nodiscard]] size_t Read(char* buffer, size_t size);
  /// The next byte read is the one at `offset`. For regular files.
  void Seek(int64_t offset);
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Size in bytes when it was opened; 0 for what is no regular file.
  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  std::filesystem::path path_;
  Descriptor fd_;
  int64_t size_ = 0;
};

/// The content of a regular file of at most `limit` bytes. Throws Malformed when it is larger.
[[nodiscard]] std::string ReadFile(const std::filesystem::path& path,
                                   int64_t limit = kMostFileBytes);

/// The same of a file that a person named, which may be a pipe.
[[nodiscard]] std::string ReadNamedFile(const std::filesystem::path& path,
                                        int64_t limit = kMostDocumentBytes);

/// What a failed system call on a file that was to be read means, given its errno: kUsage where the
/// path itself is the trouble (absent, a folder, not permitted), else, as for an I/O error or too
/// many open files, kDatabase.
[[nodiscard]] FailureCode CodeOfReadError(int error);
/// Throws it, as a Failure that names the file.
[[noreturn]] void ThrowReadError(const std::filesystem::path& path, int error);

}  // namespace sweep
