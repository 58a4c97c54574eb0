#include "core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/failure.h"

namespace sweep {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// Removes the temporary if anything goes wrong before it is published.
class TemporaryFile {
 public:
  TemporaryFile(const std::filesystem::path& target, std::string_view content)
      : path_(target.parent_path() / UniqueName(target)) {
    const Descriptor fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (fd.get() < 0) ThrowFileError("cannot create", path_, errno);
    try {
      WriteAll(fd.get(), content);
      if (::fsync(fd.get()) != 0) ThrowFileError("cannot sync", path_, errno);
    } catch (...) {
      ::unlink(path_.c_str());
      throw;
    }
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  static std::string UniqueName(const std::filesystem::path& target) {
    static std::atomic<unsigned> counter{0};
    return fmt::format(".{}.{}.{}.tmp", target.filename().string(), ::getpid(), counter++);
  }

  void WriteAll(int fd, std::string_view content) const {
    while (!content.empty()) {
      const ssize_t written = ::write(fd, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) ThrowFileError("cannot write", path_, errno);
      content.remove_prefix(static_cast<size_t>(written));
    }
  }

  std::filesystem::path path_;
};

}  // namespace

void ThrowFileError(const std::string& what, const std::filesystem::path& path, int error) {
  const std::string message = fmt::format("{} {}: {}", what, path.string(), std::strerror(error));
  if (error == ENOSPC || error == EDQUOT)
    throw Failure(FailureCode::kDiskFull, fmt::format("{}; {}", message, kMakeRoomAdvice));
  throw Failure(FailureCode::kDatabase, message);
}

void RequireRoom(const std::filesystem::path& folder) {
  constexpr size_t kSome = 4096;
  try {
    const TemporaryFile probe(folder / "room", std::string(kSome, ' '));
  } catch (const Failure& failure) {
    if (failure.code() == FailureCode::kDiskFull) throw;
  }
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  std::ostringstream content;
  content << in.rdbuf();
  if (in.bad() || std::filesystem::is_directory(path)) {
    throw Failure(FailureCode::kUsage, fmt::format("cannot read {}", path.string()));
  }
  return std::move(content).str();
}

void RenameFile(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) ThrowFileError("cannot rename to", to, errno);
}

void WriteFileAtomic(const std::filesystem::path& path, std::string_view content) {
  const TemporaryFile temporary(path, content);
  RenameFile(temporary.path(), path);
  SyncDirectory(path.parent_path());
}

bool PublishFileOnce(const std::filesystem::path& path, std::string_view content) {
  const TemporaryFile temporary(path, content);
  if (::link(temporary.path().c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) return false;
    ThrowFileError("cannot publish", path, errno);
  }
  SyncDirectory(path.parent_path());
  return true;
}

void MakeDirectories(const std::filesystem::path& path) {
  if (path.empty() || std::filesystem::is_directory(path)) return;
  MakeDirectories(path.parent_path());
  std::error_code error;
  std::filesystem::create_directory(path, error);
  if (error) ThrowFileError("cannot make folder", path, error.value());
  SyncDirectory(path.parent_path());
}

void SyncDirectory(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.empty() ? "." : path;
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) ThrowFileError("cannot open folder", folder, errno);
  if (::fsync(fd.get()) != 0) ThrowFileError("cannot sync folder", folder, errno);
}

}  // namespace sweep
