#include "db/store.h"

#include <fmt/format.h>
#include <sys/vfs.h>

#include <array>
#include <chrono>

#include "core/files.h"
#include "db/schema.h"
#include "db/store_impl.h"

namespace sweep {
namespace {

constexpr int kBusyMilliseconds = 10000;
constexpr const char* kDatabaseName = "sweep.db";

// Network file systems, by statfs(2): their locks and shared memory cannot carry SQLite's
// write-ahead log.
bool IsNetworkFileSystem(const std::filesystem::path& path) {
  constexpr std::array<uint64_t, 7> kMagic = {
      0x6969,      // NFS
      0x0BD00BD0,  // Lustre
      0x47504653,  // GPFS
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x19830326,  // BeeGFS
      0x00C36400,  // Ceph
  };
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0) return false;
  for (const uint64_t magic : kMagic) {
    if ((static_cast<uint64_t>(info.f_type) & 0xFFFFFFFFU) == magic) return true;
  }
  return false;
}

void ConfigureForWriting(SQLite::Database& database, const std::filesystem::path& root) {
  if (IsNetworkFileSystem(root)) {
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

}  // namespace

double UnixTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool Store::Exists(const std::filesystem::path& root) {
  return std::filesystem::exists(root / kDatabaseName);
}

Store::Store(std::filesystem::path root, Access access)
    : root_(std::move(root)), impl_(std::make_unique<Impl>()) {
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
  TranslateSqlite(root_, [&] {
    const int flags = access == Access::kWrite ? SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE
                                               : SQLite::OPEN_READONLY;
    impl_->database = std::make_unique<SQLite::Database>((root_ / kDatabaseName).string(), flags);
    Configure(*impl_->database);
    if (access == Access::kWrite) {
      ConfigureForWriting(*impl_->database, root_);
      Migrate(*impl_->database);
    } else {
      RequireCurrentSchema(*impl_->database);
    }
  });
}

Store::~Store() {
  if (impl_) impl_->statements.clear();  // before the database they belong to
}

RunDirectory Store::run_directory(const std::string& run_id) const {
  return RunDirectory(root_ / "runs" / run_id);
}

void Store::ReplayJournal() {
  const int64_t offset = TranslateSqlite(root_, [&] {
    SQLite::Statement& query =
        impl_->Prepare("SELECT value FROM meta WHERE key = 'journal_offset'");
    return query.executeStep() ? query.getColumn(0).getInt64() : int64_t{0};
  });
  const Journal::Tail tail = Journal::ReadFrom(root_ / "journal.jsonl", offset);
  if (tail.entries.empty()) return;
  StoreTransaction transaction(*this);
  transaction.replaying_ = true;
  for (const Json& entry : tail.entries) transaction.ApplyJournalEntry(entry);
  TranslateSqlite(root_, [&] {
    impl_->Execute("INSERT OR REPLACE INTO meta VALUES ('journal_offset', ?)", tail.end);
  });
  transaction.Commit();
}

}  // namespace sweep
