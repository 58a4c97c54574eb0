#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "trainer/random_access_file.h"

namespace sweep {

/// A regular file inside a tar archive.
struct TarMember {
  std::string name;
  int64_t offset = 0;  ///< of its first byte in the archive
  int64_t bytes = 0;
};

/// Lists the members of an uncompressed tar archive (POSIX ustar and pax, GNU long names), reading
/// headers alone. What is no regular file is passed over.
class TarReader {
 public:
  /// `file` must outlive it.
  explicit TarReader(const RandomAccessFile& file) : file_(file) {}

  /// The next member that lies in the file whole; nothing at the end of the archive or where it is
  /// damaged.
  [[nodiscard]] std::optional<TarMember> Next();

  /// Why the list ended before the archive's own end; empty if it did not.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  std::optional<TarMember> Stop(const char* why);

  const RandomAccessFile& file_;
  int64_t at_ = 0;
  std::string problem_;
};

/// Appends one regular file to the bytes of an archive (ustar). `name` has at most 100 bytes.
void AppendTarMember(std::string_view name, std::string_view content, std::string& archive);

/// Appends the archive's end.
void AppendTarEnd(std::string& archive);

}  // namespace sweep
