#include "db/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdio>

#include "core/files.h"
#include "core/output.h"
#include "db/lock_wait.h"
#include "db/schema.h"
#include "db/snapshot.h"
#include "db/store_layout.h"
#include "db/store_impl.h"

namespace sweep {
namespace {

constexpr const char* kDatabaseName = "sweep.db";
constexpr const char* kNewDatabaseName = "sweep.db.new";

void ConfigureForWriting(SQLite::Database& database, bool on_network) {
  if (on_network) {
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("PRAGMA journal_mode = DELETE");
  } else {
    database.exec("PRAGMA journal_mode = WAL");
  }
  // Changes are rare and each is worth GPU-hours: WAL with NORMAL may lose the last commits on
  // power loss.
  database.exec("PRAGMA synchronous = FULL");
}

void Configure(SQLite::Database& database, const std::filesystem::path& path) {
  WaitForLocks(database, path);
  database.exec("PRAGMA foreign_keys = ON");
}

// A path as SQLite's URIs want it.
std::string UriOf(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02X}", c);
    } else {
      uri += c;
    }
  }
  return uri;
}

// A database in WAL mode wants to make its shared memory beside it, even for a reader. Where that
// cannot be (a read-only or full disk) and no log is left to apply, the file is all there is.
std::unique_ptr<SQLite::Database> OpenForReading(const std::filesystem::path& path) {
  auto database = std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READONLY);
  Configure(*database, path);
  try {
    database->execAndGet("SELECT count(*) FROM sqlite_schema");
    return database;
  } catch (const SQLite::Exception& error) {
    if (error.getErrorCode() == SQLITE_BUSY) throw;
    const std::filesystem::path log = path.string() + "-wal";
    std::error_code absent;
    if (std::filesystem::exists(log) && std::filesystem::file_size(log, absent) > 0) throw;
  }
  database = std::make_unique<SQLite::Database>(UriOf(path) + "?immutable=1",
                                                SQLite::OPEN_READONLY | SQLite::OPEN_URI);
  Configure(*database, path);
  return database;
}

void RemoveDatabase(const std::filesystem::path& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::error_code failed;
    std::filesystem::remove_all(path.string() + suffix, failed);
    if (failed) ThrowFileError("cannot remove", path.string() + suffix, failed.value());
  }
}

// A database that is to stay as the old one should not need its log. One that is damaged keeps it.
void FoldLogIn(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return;
  try {
    SQLite::Database old(path.string(), SQLite::OPEN_READWRITE);
    old.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const SQLite::Exception&) {  // NOLINT(bugprone-empty-catch)
  }
}

// Both names change at once; where the file system cannot do that, `sweep.db` is absent for a
// moment, and whoever is killed there leaves a store that makes its database anew.
void Exchange(const std::filesystem::path& a, const std::filesystem::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return;
  const std::filesystem::path aside = a.string() + ".aside";
  RenameFile(b, aside);
  RenameFile(a, b);
  RenameFile(aside, a);
}

// The new database's log was never begun, so that the old one's must be gone before it has its
// name: the old one without a log is brought up to date from the journal.
void SwapDatabases(const std::filesystem::path& root, const std::filesystem::path& fresh) {
  const std::filesystem::path path = root / kDatabaseName;
  const std::filesystem::path old = path.string() + ".old";
  RemoveDatabase(old);
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    if (std::filesystem::exists(path.string() + suffix))
      RenameFile(path.string() + suffix, old.string() + suffix);
  }
  if (std::filesystem::exists(path)) {
    Exchange(fresh, path);
    SyncDirectory(root);
    RenameFile(fresh, old);
  } else {
    RenameFile(fresh, path);
  }
  std::error_code absent;
  std::filesystem::remove(root / kSnapshotName,
                          absent);  // of the old one; the next writer makes one
  SyncDirectory(root);
}

}  // namespace

double UnixTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void Store::Impl::Explain(const SQLite::Exception& error) const {
  std::string message = fmt::format("{}: {}", path.string(), error.what());
  switch (error.getErrorCode()) {
    case SQLITE_BUSY:
      if (HaveStoppedWaiting())
        throw Failure(FailureCode::kInterrupted,
                      fmt::format("stopped while {} was locked by another program", path.string()));
      break;
    case SQLITE_FULL:
      throw Failure(FailureCode::kDiskFull, fmt::format("{}; {}", message, kMakeRoomAdvice));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      // SQLite does not keep what the operating system said.
      RequireRoom(path.parent_path());
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      message += "; `sweep db rebuild` makes it anew from the store's files";
      break;
    default:
      break;
  }
  throw Failure(FailureCode::kDatabase, message);
}

void Store::Impl::RequireHeld() {
  lease->RequireHeld();
  SQLite::Statement& query = Prepare("SELECT value FROM meta WHERE key = 'holder'");
  const bool ours = query.executeStep() && query.getColumn(0).getInt64() == lease->token();
  if (!ours) {
    throw Failure(
        FailureCode::kStoreHeld,
        fmt::format("{}: another process has taken the store over; nothing more is written to it",
                    path.string()));
  }
}

bool Store::Exists(const std::filesystem::path& root) {
  return HasDatabase(root) || HasStoreFiles(root);
}

bool Store::HasDatabase(const std::filesystem::path& root) {
  return std::filesystem::exists(root / kDatabaseName);
}

namespace {

void RequireDatabase(const std::filesystem::path& root) {
  if (Store::HasDatabase(root)) return;
  if (Store::Exists(root)) {
    throw Failure(FailureCode::kDatabase,
                  fmt::format("{} has no sweep.db, the index of its files: `sweep db rebuild "
                              "--store {}` makes it from them, as does the next `sweep run`",
                              root.string(),
                              root.string()));
  }
  throw Failure(FailureCode::kData,
                fmt::format("no store at {}: `sweep run SWEEP.json` or `sweep import` makes one, "
                            "--store names another",
                            root.string()));
}

}  // namespace

Store::Store(std::filesystem::path root, Access access)
    : root_(std::move(root)), impl_(std::make_unique<Impl>()) {
  impl_->path = root_ / (access == Access::kRebuild ? kNewDatabaseName : kDatabaseName);
  if (access == Access::kRead) {
    RequireOwnDatabase(root_);
    RequireDatabase(root_);
  }
  if (access == Access::kWrite || access == Access::kRebuild) {
    RequireOwnLayout(root_);
    MakeDirectories(root_ / "runs");
    MakeDirectories(sweeps_folder());
    MakeDirectories(imports_folder());
    impl_->lease = std::make_unique<Lease>(root_);
    impl_->journal = std::make_unique<Journal>(root_ / "journal.jsonl");
  }
  if (access == Access::kRebuild) RemoveDatabase(impl_->path);
  TranslateSqlite(*impl_, [&] { Open(access); });
}

void Store::Open(Access access) {
  switch (access) {
    case Access::kRead:
      impl_->path = DatabaseForReading(root_);
      impl_->database = OpenForReading(impl_->path);
      RequireCurrentSchema(*impl_->database);
      return;
    case Access::kCheck:
      impl_->path = "the database for comparison";
      impl_->database = std::make_unique<SQLite::Database>(
          "", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);  // a temporary file without a name
      Configure(*impl_->database, impl_->path);
      Migrate(*impl_->database);
      return;
    case Access::kRebuild:
    case Access::kWrite:
      OpenToWrite(/*beside=*/access == Access::kRebuild);
  }
}

void Store::OpenToWrite(bool beside) {
  impl_->database = std::make_unique<SQLite::Database>(
      impl_->path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  Configure(*impl_->database, impl_->path);
  const bool on_network = IsNetworkFileSystem(root_);
  // Beside the other one it is nobody's until it is whole: it needs no log that others can read.
  if (!beside) ConfigureForWriting(*impl_->database, on_network);
  Migrate(*impl_->database);
  impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('holder', ?)", impl_->lease->token());
  if (on_network && !beside) {
    impl_->snapshots = std::make_unique<Snapshots>(*impl_->database, root_);
    impl_->snapshots->Make();
  }
}

Store::~Store() {
  if (!impl_) return;
  impl_->statements.clear();  // before the database they belong to
  try {
    if (impl_->snapshots && impl_->lease->IsHeld()) impl_->snapshots->Make();
  } catch (const std::exception& error) {
    Tell("{}: no snapshot for readers: {}\n", root_.string(), error.what());
  }
}

void Store::RequireHeld() const {
  impl_->lease->RequireHeld();
}

RunDirectory Store::run_directory(const std::string& run_id) const {
  return RunDirectory(root_ / "runs" / run_id);
}

std::optional<int64_t> Store::JournalOffset() const {
  return TranslateSqlite(*impl_, [&]() -> std::optional<int64_t> {
    SQLite::Statement& query =
        impl_->Prepare("SELECT value FROM meta WHERE key = 'journal_offset'");
    if (!query.executeStep()) return std::nullopt;
    return query.getColumn(0).getInt64();
  });
}

// What they recorded is lost with them, for this database and for every later one.
void Store::RemoveDamagedJournalLines() {
  const std::filesystem::path path = root_ / "journal.jsonl";
  if (Journal::RemoveDamagedLines(path).empty()) return;
  impl_->journal = std::make_unique<Journal>(path);
  TranslateSqlite(*impl_, [&] {
    impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('journal_offset', ?)",
                   static_cast<int64_t>(std::filesystem::file_size(path)));
  });
}

void Store::PutInPlace() {
  if (const std::string report = IntegrityReport(); report != "ok") {
    throw Failure(FailureCode::kDatabase,
                  fmt::format("{}: not put in place: {}", impl_->path.string(), report));
  }
  impl_->lease->RequireHeld();
  RemoveDamagedJournalLines();
  impl_->statements.clear();
  impl_->database.reset();
  FoldLogIn(root_ / kDatabaseName);
  SwapDatabases(root_, impl_->path);
}

}  // namespace sweep
