#include "db/store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>

#include "core/files.h"
#include "core/output.h"
#include "db/schema.h"
#include "db/snapshot.h"
#include "db/store_impl.h"

namespace sweep {
namespace {

constexpr int kBusyMilliseconds = 10000;
constexpr const char* kDatabaseName = "sweep.db";

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

void Configure(SQLite::Database& database) {
  database.setBusyTimeout(kBusyMilliseconds);
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
  Configure(*database);
  try {
    database->execAndGet("SELECT count(*) FROM sqlite_schema");
    return database;
  } catch (const SQLite::Exception&) {
    const std::filesystem::path log = path.string() + "-wal";
    std::error_code absent;
    if (std::filesystem::exists(log) && std::filesystem::file_size(log, absent) > 0) throw;
  }
  database = std::make_unique<SQLite::Database>(UriOf(path) + "?immutable=1",
                                                SQLite::OPEN_READONLY | SQLite::OPEN_URI);
  Configure(*database);
  return database;
}

}  // namespace

double UnixTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void Store::Impl::Explain(const SQLite::Exception& error) const {
  std::string message = fmt::format("{}: {}", path.string(), error.what());
  switch (error.getErrorCode()) {
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
  return std::filesystem::exists(root / kDatabaseName);
}

Store::Store(std::filesystem::path root, Access access)
    : root_(std::move(root)), impl_(std::make_unique<Impl>()) {
  impl_->path = root_ / kDatabaseName;
  if (access == Access::kRead && !Exists(root_)) {
    throw Failure(FailureCode::kData,
                  fmt::format("no store at {}: `sweep run SWEEP.json` or `sweep import` makes one, "
                              "--store names another",
                              root_.string()));
  }
  if (access == Access::kWrite) {
    MakeDirectories(root_ / "runs");
    MakeDirectories(sweeps_folder());
    MakeDirectories(imports_folder());
    impl_->lease = std::make_unique<Lease>(root_);
    impl_->journal = std::make_unique<Journal>(root_ / "journal.jsonl");
  }
  TranslateSqlite(*impl_, [&] {
    if (access == Access::kRead) {
      impl_->database = OpenForReading(DatabaseForReading(root_));
      RequireCurrentSchema(*impl_->database);
      return;
    }
    impl_->database = std::make_unique<SQLite::Database>(
        (root_ / kDatabaseName).string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    Configure(*impl_->database);
    const bool on_network = IsNetworkFileSystem(root_);
    ConfigureForWriting(*impl_->database, on_network);
    Migrate(*impl_->database);
    impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('holder', ?)", impl_->lease->token());
    if (on_network) {
      impl_->snapshots = std::make_unique<Snapshots>(*impl_->database, root_);
      impl_->snapshots->Make();
    }
  });
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

void Store::ReplayJournal() {
  const int64_t offset = TranslateSqlite(*impl_, [&] {
    SQLite::Statement& query =
        impl_->Prepare("SELECT value FROM meta WHERE key = 'journal_offset'");
    return query.executeStep() ? query.getColumn(0).getInt64() : int64_t{0};
  });
  const Journal::Tail tail = Journal::ReadFrom(root_ / "journal.jsonl", offset);
  if (tail.entries.empty()) return;
  StoreTransaction transaction(*this);
  transaction.replaying_ = true;
  for (const Json& entry : tail.entries) transaction.ApplyJournalEntry(entry);
  TranslateSqlite(*impl_, [&] {
    impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('journal_offset', ?)", tail.end);
  });
  transaction.Commit();
}

}  // namespace sweep
