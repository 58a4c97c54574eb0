#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <chrono>
#include <filesystem>

namespace sweep {

/// Do SQLite's locks and shared memory have to be kept off the file system that holds `path`?
/// True for network file systems known to statfs(2); SWEEP_FILE_SYSTEM=local|network says it for
/// others (Failure(kUsage) on any other value).
[[nodiscard]] bool IsNetworkFileSystem(const std::filesystem::path& path);

/// Name of what a reader opens on a network file system.
inline constexpr const char* kSnapshotName = "sweep.snapshot.db";

/// The database that a reader of the store at `root` opens: on a network file system the newest
/// snapshot, as the writer holds the database itself exclusively.
[[nodiscard]] std::filesystem::path DatabaseForReading(const std::filesystem::path& root);

/// Copies of a database for readers, put in place by rename, so that a reader sees an old one or a
/// new one and never waits. Not included outside db/.
class Snapshots {
 public:
  Snapshots(SQLite::Database& database, std::filesystem::path root);
  /// Makes one unless the last is recent; a large database, which takes long to copy, is copied
  /// less often.
  void Refresh();
  void Make();

 private:
  using Clock = std::chrono::steady_clock;
  SQLite::Database& database_;
  std::filesystem::path root_;
  Clock::time_point next_ = Clock::time_point::min();
};

}  // namespace sweep
