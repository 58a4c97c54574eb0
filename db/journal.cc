#include "db/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string_view>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

bool IsThere(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno != ENOENT) ThrowFileError("cannot look at", path, errno);
  return false;
}

// The journal's bytes from `offset` on; nothing where it ends before that.
std::string ReadBytesFrom(const std::filesystem::path& path, int64_t offset, bool& was_cut) {
  try {
    FileReader file(path);
    was_cut = file.size() < offset;
    if (was_cut) return "";
    file.Seek(offset);
    std::string content(static_cast<size_t>(file.size() - offset), '\0');
    size_t size = 0;
    while (size < content.size()) {
      const size_t got = file.Read(content.data() + size, content.size() - size);
      if (got == 0) break;
      size += got;
    }
    content.resize(size);
    return content;
  } catch (const Failure& failure) {
    throw Failure(FailureCode::kDatabase, failure.what());
  }
}

// Offset after the last line that has an end.
int64_t EndOfLastLine(int fd, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) ThrowFileError("cannot look at", path, errno);
  std::string piece(size_t{1} << 16, '\0');
  for (int64_t end = info.st_size; end > 0;) {
    const int64_t begin = std::max<int64_t>(0, end - static_cast<int64_t>(piece.size()));
    const ssize_t got = ::pread(fd, piece.data(), static_cast<size_t>(end - begin), begin);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) ThrowFileError("cannot read", path, errno);
    const size_t newline = std::string_view(piece.data(), static_cast<size_t>(got)).rfind('\n');
    if (newline != std::string_view::npos) return begin + static_cast<int64_t>(newline) + 1;
    end = begin;
  }
  return 0;
}

}  // namespace

Journal::Journal(std::filesystem::path path)
    : path_(std::move(path)),
      fd_(::open(
          path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644)) {
  if (fd_.get() < 0) ThrowFileError("cannot open", path_, errno);
  length_ = EndOfLastLine(fd_.get(), path_);
  if (::ftruncate(fd_.get(), length_) != 0) ThrowFileError("cannot truncate", path_, errno);
  SyncDirectory(path_.parent_path());
}

int64_t Journal::Append(const std::vector<Json>& entries) {
  std::string lines;
  for (const Json& entry : entries) lines += SealEventLine(entry);
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t written = ::pwrite(fd_.get(),
                                     rest.data(),
                                     rest.size(),
                                     length_ + static_cast<int64_t>(lines.size() - rest.size()));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowFileError("cannot write", path_, errno);
    rest.remove_prefix(static_cast<size_t>(written));
  }
  if (::fdatasync(fd_.get()) != 0) ThrowFileError("cannot sync", path_, errno);
  length_ += static_cast<int64_t>(lines.size());
  return length_;
}

Journal::Tail Journal::ReadFrom(const std::filesystem::path& path, int64_t offset) {
  Tail tail;
  tail.end = offset;
  if (!IsThere(path)) {
    tail.was_cut = offset > 0;
    return tail;
  }
  const std::string content = ReadBytesFrom(path, offset, tail.was_cut);
  size_t at = 0;
  for (size_t newline = 0; (newline = content.find('\n', at)) != std::string::npos;
       at = newline + 1) {
    const int64_t begin = offset + static_cast<int64_t>(at);
    EventLine line = ParseEventLine(std::string_view(content).substr(at, newline - at));
    if (line.status == EventLine::Status::kWhole) {
      tail.entries.push_back({begin, std::move(line.event)});
    } else {
      tail.damaged.push_back(begin);
    }
    tail.end = offset + static_cast<int64_t>(newline) + 1;
  }
  return tail;
}

std::vector<int64_t> Journal::RemoveDamagedLines(const std::filesystem::path& path) {
  const Tail tail = ReadFrom(path, 0);
  if (tail.damaged.empty()) return {};
  std::string whole;
  for (const Entry& entry : tail.entries) whole += SealEventLine(entry.entry);
  const std::filesystem::path old = path.string() + ".old";
  WriteFileAtomic(old, ReadFile(path, std::numeric_limits<int64_t>::max()));
  WriteFileAtomic(path, whole);
  return tail.damaged;
}

}  // namespace sweep
