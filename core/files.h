#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/read_file.h"
#include "core/text_source.h"

namespace sweep {

/// Writes so that a reader, or a machine that lost power, sees the old content or the new one,
/// never a part: temporary, fsync, rename, fsync of the folder. Throws Failure(kDatabase).
void WriteFileAtomic(const std::filesystem::path& path, std::string_view content);

/// As WriteFileAtomic, but publishes by link(2), which fails if `path` exists: the first writer
/// wins. Returns false when the file was there already (it is left as it is). Throws
/// Failure(kDatabase).
bool PublishFileOnce(const std::filesystem::path& path, std::string_view content);
bool PublishFileOnce(const std::filesystem::path& path, const TextSource& content);

/// Makes the folder and its parents durable: creation is followed by fsync of the parent.
void MakeDirectories(const std::filesystem::path& path);

/// New folders and files that become durable together: what each of them needs alone, a sync after
/// every step, a file system's journal would write down many times over. Nothing of it is promised
/// before Commit returns; after a crash some may be there, but no file in part. It holds no
/// descriptor between its calls, so that its size is not bounded by the limit of open files.
class DurableBatch {
 public:
  DurableBatch();
  ~DurableBatch();
  DurableBatch(const DurableBatch&) = delete;
  DurableBatch& operator=(const DurableBatch&) = delete;

  /// As MakeDirectories.
  void Make(const std::filesystem::path& folder);
  /// As PublishFileOnce, at Commit: a file that is there by then is left as it is.
  void Publish(const std::filesystem::path& path, std::string_view content);
  /// Throws what its parts would throw.
  void Commit();

 private:
  struct NewFile;
  std::vector<NewFile> files_;
  std::set<std::filesystem::path> changed_;  ///< folders
};

/// Is there anything of this name? A link that leads nowhere is something. Throws what
/// ThrowReadError throws where that cannot be said.
[[nodiscard]] bool IsTaken(const std::filesystem::path& path);

/// What lies in a folder, by full path, in name order; nothing where there is no folder.
[[nodiscard]] std::vector<std::filesystem::path> ListFolder(const std::filesystem::path& folder);

/// Renames whatever has this name to `path`.REASON, or `path`.REASON.2 and so on where that is
/// taken, and returns the new name. Throws Failure(kDatabase).
std::filesystem::path MoveAside(const std::filesystem::path& path, const std::string& reason);

/// rename(2) of a file or folder. Throws Failure(kDatabase).
void RenameFile(const std::filesystem::path& from, const std::filesystem::path& to);

/// What a failed system call on a file means, given its errno: throws Failure(kDiskFull) with
/// advice where no room is left, else Failure(kDatabase). `what` as "cannot write".
[[noreturn]] void ThrowFileError(const std::string& what,
                                 const std::filesystem::path& path,
                                 int error);

/// Writes, syncs and removes a small file in `folder`. Throws Failure(kDiskFull) when no room is
/// left for it; any other trouble is not what was asked.
void RequireRoom(const std::filesystem::path& folder);

/// What follows a message that no room is left.
inline constexpr const char* kMakeRoomAdvice =
    "make room (`sweep gc` lists what the store can do without) and give the same command again: "
    "what has finished is safe";

/// fsync of a folder, so that a rename or link inside it survives a power loss.
void SyncDirectory(const std::filesystem::path& path);

/// fsync of a regular file that another program wrote, so that its content survives a power loss.
void SyncFile(const std::filesystem::path& path);

}  // namespace sweep
