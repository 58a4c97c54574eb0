#include "db/snapshot.h"

#include <SQLiteCpp/Backup.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

constexpr auto kLeastInterval = std::chrono::seconds(2);
constexpr int kIntervalInCopyTimes = 50;  // at most 2 % of the time goes into copies

}  // namespace

bool IsNetworkFileSystem(const std::filesystem::path& path) {
  constexpr std::array<uint64_t, 8> kMagic = {
      0x6969,      // NFS
      0x0BD00BD0,  // Lustre
      0x47504653,  // GPFS
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x19830326,  // BeeGFS
      0x00C36400,  // Ceph
      0x01021997,  // 9P
  };
  if (const char* said = std::getenv("SWEEP_FILE_SYSTEM")) {
    const std::string_view kind = said;
    if (kind == "local" || kind == "network") return kind == "network";
    throw Failure(FailureCode::kUsage,
                  "SWEEP_FILE_SYSTEM is '" + std::string(kind) + "', expected local or network");
  }
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0) return false;
  const uint64_t magic = static_cast<uint64_t>(info.f_type) & 0xFFFFFFFFU;
  return std::find(kMagic.begin(), kMagic.end(), magic) != kMagic.end();
}

std::filesystem::path DatabaseForReading(const std::filesystem::path& root) {
  std::filesystem::path snapshot = root / kSnapshotName;
  if (IsNetworkFileSystem(root) && std::filesystem::exists(snapshot)) return snapshot;
  return root / "sweep.db";
}

Snapshots::Snapshots(SQLite::Database& database, std::filesystem::path root)
    : database_(database), root_(std::move(root)) {}

void Snapshots::Refresh() {
  if (Clock::now() >= next_) Make();
}

void Snapshots::Make() {
  const auto begin = Clock::now();
  const std::filesystem::path temporary = root_ / (std::string(kSnapshotName) + ".new");
  std::error_code absent;
  std::filesystem::remove(temporary, absent);
  {
    SQLite::Database copy(temporary.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    SQLite::Backup(copy, database_).executeStep();
  }
  RenameFile(temporary, root_ / kSnapshotName);
  SyncDirectory(root_);
  const auto end = Clock::now();
  next_ = end + std::max<Clock::duration>(kLeastInterval, kIntervalInCopyTimes * (end - begin));
}

}  // namespace sweep
