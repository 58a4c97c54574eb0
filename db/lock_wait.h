#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

namespace sweep {

/// Another program may lock a database for as long as it likes: a person's `sqlite3`, a backup.
/// Nothing is lost by waiting, so `database`, which lies at `path`, waits for as long as that
/// lasts, and says on stderr every few seconds for whom. SIGINT and SIGTERM end the wait, as they
/// end the program or through StopWaitingForLocks. `path` outlives the database.
void WaitForLocks(SQLite::Database& database, const std::filesystem::path& path);

/// For a signal handler that only takes note of the signal: whoever waits for a lock gets
/// SQLITE_BUSY now. With false, later ones wait again.
void StopWaitingForLocks(bool stop) noexcept;
[[nodiscard]] bool HaveStoppedWaiting() noexcept;

}  // namespace sweep
