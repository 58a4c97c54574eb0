#include "db/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"

namespace sweep {

Journal::Journal(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowFileError("cannot open", path_, errno);
  const std::string content = ReadFile(path_);
  const size_t last_newline = content.rfind('\n');
  length_ = last_newline == std::string::npos ? 0 : static_cast<int64_t>(last_newline) + 1;
  if (::ftruncate(fd_, length_) != 0) ThrowFileError("cannot truncate", path_, errno);
  SyncDirectory(path_.parent_path());
}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

int64_t Journal::Append(const std::vector<Json>& entries) {
  std::string lines;
  for (const Json& entry : entries) lines += SealEventLine(entry);
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t written = ::pwrite(
        fd_, rest.data(), rest.size(), length_ + static_cast<int64_t>(lines.size() - rest.size()));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowFileError("cannot write", path_, errno);
    rest.remove_prefix(static_cast<size_t>(written));
  }
  if (::fdatasync(fd_) != 0) ThrowFileError("cannot sync", path_, errno);
  length_ += static_cast<int64_t>(lines.size());
  return length_;
}

Journal::Tail Journal::ReadFrom(const std::filesystem::path& path, int64_t offset) {
  Tail tail;
  tail.end = offset;
  if (!std::filesystem::exists(path)) return tail;
  const std::string content = ReadFile(path);
  auto at = static_cast<size_t>(offset);
  for (size_t newline = 0; (newline = content.find('\n', at)) != std::string::npos;
       at = newline + 1) {
    EventLine line = ParseEventLine(std::string_view(content).substr(at, newline - at));
    if (line.status != EventLine::Status::kWhole) {
      throw Failure(FailureCode::kDatabase,
                    fmt::format("{}: the line at byte {} is damaged (its checksum does not hold); "
                                "restore the file from "
                                "a backup, or remove that line to go on without what it recorded",
                                path.string(),
                                at));
    }
    tail.entries.push_back(std::move(line.event));
    tail.end = static_cast<int64_t>(newline) + 1;
  }
  return tail;
}

}  // namespace sweep
