#include "trainer/event_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string_view>

#include "core/event_log.h"
#include "core/files.h"

namespace sweep {
namespace {

int64_t LastSeq(std::string_view text) {
  int64_t last = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const EventLine line = ParseEventLine(text.substr(0, end));
    if (line.status == EventLine::Status::kWhole)
      last = FindInteger(line.event, "seq").value_or(last);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return last;
}

double UnixSeconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) *
         1e-3;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& path) : path_(path) {
  std::string written;
  if (std::filesystem::exists(path)) written = ReadFile(path);
  seq_ = LastSeq(written);
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowFileError("cannot open", path, errno);
  torn_ = !written.empty() && written.back() != '\n';
}

EventWriter::~EventWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void EventWriter::Write(const std::string& type, Json members) {
  if (fd_ < 0) return;
  members["seq"] = ++seq_;
  members["at"] = UnixSeconds();
  members["type"] = type;
  Append((torn_ ? "\n" : "") + SealEventLine(members));
}

void EventWriter::Append(const std::string& text) {
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t written = ::write(fd_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowFileError("cannot write", path_, errno);
    left.remove_prefix(static_cast<size_t>(written));
    torn_ = !left.empty();
  }
}

}  // namespace sweep
