#include "core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/descriptor.h"
#include "core/failure.h"

namespace sweep {
namespace {

// Does the file system not know this call at all? Some of those in user space, of objects in a
// cloud, and of containers answer so.
bool IsNotSupported(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK ||
         error == EINVAL;
}

// In link(2)'s place: gives a file another name, which must not exist. 0 or an errno. Where the file
// system cannot refuse an existing name by itself, it is looked for first, which two writers at the
// same moment could get past; a store and a run have one writer at a time.
int RenameIfAbsent(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (!IsNotSupported(errno)) return errno;
  struct stat info{};
  if (::lstat(to.c_str(), &info) == 0) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

/// Removes the temporary if anything goes wrong before it is published.
class TemporaryFile {
 public:
  TemporaryFile(const std::filesystem::path& target, std::string_view content)
      : TemporaryFile(target, [&](const TextSink& write) { write(content); }) {}
  TemporaryFile(const std::filesystem::path& target, const TextSource& content)
      : path_(target.parent_path() / UniqueName(target)),
        fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) {
    if (fd_.get() < 0) ThrowFileError("cannot create", path_, errno);
    try {
      content([&](std::string_view piece) { WriteAll(piece); });
    } catch (...) {
      ::unlink(path_.c_str());
      throw;
    }
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void Sync() const {
    if (::fsync(fd_.get()) != 0) ThrowFileError("cannot sync", path_, errno);
  }

  // Holds no descriptor any more; `Reopen` takes one again.
  void Close() { fd_.Close(); }
  void Reopen() {
    fd_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd_.get() < 0) ThrowFileError("cannot open", path_, errno);
  }

  // Gives it its name; false where there is a file of that name.
  [[nodiscard]] bool LinkTo(const std::filesystem::path& target) const {
    if (::link(path_.c_str(), target.c_str()) == 0) return true;
    int error = errno;
    if (IsNotSupported(error)) error = RenameIfAbsent(path_, target);
    if (error != 0 && error != EEXIST) ThrowFileError("cannot publish", target, error);
    return error == 0;
  }

 private:
  static std::string UniqueName(const std::filesystem::path& target) {
    static std::atomic<unsigned> counter{0};
    return fmt::format(".{}.{}.{}.tmp", target.filename().string(), ::getpid(), counter++);
  }

  void WriteAll(std::string_view content) const {
    while (!content.empty()) {
      const ssize_t written = ::write(fd_.get(), content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) ThrowFileError("cannot write", path_, errno);
      content.remove_prefix(static_cast<size_t>(written));
    }
  }

  std::filesystem::path path_;
  Descriptor fd_;
};

// Makes what is missing of the folder and its parents; adds those in which something was made.
void MakeUnsynced(const std::filesystem::path& path, std::set<std::filesystem::path>& changed) {
  if (path.empty() || std::filesystem::is_directory(path)) return;
  MakeUnsynced(path.parent_path(), changed);
  std::error_code error;
  std::filesystem::create_directory(path, error);
  if (error) ThrowFileError("cannot make folder", path, error.value());
  changed.insert(path.parent_path());
}

// Those that lie in others first: what is durable can then be reached only once all of it is.
void SyncAll(const std::set<std::filesystem::path>& folders) {
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) SyncDirectory(*folder);
}

}  // namespace

void ThrowFileError(const std::string& what, const std::filesystem::path& path, int error) {
  const std::string message = fmt::format("{} {}: {}", what, path.string(), std::strerror(error));
  // EFBIG: over the file size limit of the process (RLIMIT_FSIZE) or of the file system.
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    throw Failure(FailureCode::kDiskFull, fmt::format("{}; {}", message, kMakeRoomAdvice));
  throw Failure(FailureCode::kDatabase, message);
}

void RequireRoom(const std::filesystem::path& folder) {
  constexpr size_t kSome = 4096;
  try {
    const TemporaryFile probe(folder / "room", std::string(kSome, ' '));
    probe.Sync();
  } catch (const Failure& failure) {
    if (failure.code() == FailureCode::kDiskFull) throw;
  }
}

bool IsTaken(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) ThrowReadError(path, errno);
  return false;
}

std::vector<std::filesystem::path> ListFolder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  auto entry = std::filesystem::directory_iterator(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    paths.push_back(entry->path());
  const std::set<int> absent = {0, ENOENT, ENOTDIR, ELOOP};
  if (!absent.contains(error.value())) ThrowReadError(folder, error.value());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::filesystem::path MoveAside(const std::filesystem::path& path, const std::string& reason) {
  const std::string first = fmt::format("{}.{}", path.string(), reason);
  std::filesystem::path aside = first;
  for (int number = 2; IsTaken(aside); ++number) aside = fmt::format("{}.{}", first, number);
  RenameFile(path, aside);
  return aside;
}

void RenameFile(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) ThrowFileError("cannot rename to", to, errno);
}

void WriteFileAtomic(const std::filesystem::path& path, std::string_view content) {
  const TemporaryFile temporary(path, content);
  temporary.Sync();
  RenameFile(temporary.path(), path);
  SyncDirectory(path.parent_path());
}

bool PublishFileOnce(const std::filesystem::path& path, std::string_view content) {
  return PublishFileOnce(path, [&](const TextSink& write) { write(content); });
}

bool PublishFileOnce(const std::filesystem::path& path, const TextSource& content) {
  const TemporaryFile temporary(path, content);
  temporary.Sync();
  if (!temporary.LinkTo(path)) return false;
  SyncDirectory(path.parent_path());
  return true;
}

void MakeDirectories(const std::filesystem::path& path) {
  std::set<std::filesystem::path> changed;
  MakeUnsynced(path, changed);
  SyncAll(changed);
}

struct DurableBatch::NewFile {
  std::filesystem::path path;
  std::unique_ptr<TemporaryFile> temporary;
};

DurableBatch::DurableBatch() = default;
DurableBatch::~DurableBatch() = default;

void DurableBatch::Make(const std::filesystem::path& folder) {
  MakeUnsynced(folder, changed_);
}

void DurableBatch::Publish(const std::filesystem::path& path, std::string_view content) {
  files_.push_back({path, std::make_unique<TemporaryFile>(path, content)});
  files_.back().temporary->Close();
}

void DurableBatch::Commit() {
  for (const NewFile& file : files_) {
    file.temporary->Reopen();
    file.temporary->Sync();
    file.temporary->Close();
  }
  for (const NewFile& file : files_) {
    if (file.temporary->LinkTo(file.path)) changed_.insert(file.path.parent_path());
  }
  files_.clear();
  SyncAll(changed_);
  changed_.clear();
}

void SyncDirectory(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.empty() ? "." : path;
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) ThrowFileError("cannot open folder", folder, errno);
  // Where folders cannot be synced, names are as durable as the file system makes them.
  if (::fsync(fd.get()) != 0 && !IsNotSupported(errno) && errno != EBADF)
    ThrowFileError("cannot sync folder", folder, errno);
}

void SyncFile(const std::filesystem::path& path) {
  const FileReader file(path);
  if (::fsync(file.fd()) != 0) ThrowFileError("cannot sync", path, errno);
}

}  // namespace sweep
