#include "orchestrator/recovery.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/canonical_fields.h"
#include "core/failure.h"
#include "core/file_lock.h"
#include "core/files.h"
#include "core/hash.h"
#include "db/lease.h"
#include "db/stored_files.h"
#include "orchestrator/attempt_verdict.h"
#include "orchestrator/ingest.h"
#include "orchestrator/orphans.h"
#include "orchestrator/retry_request.h"

namespace sweep {
namespace {

constexpr auto kPatienceWithOrphans = std::chrono::seconds(30);
constexpr auto kOrphanCheckEvery = std::chrono::milliseconds(20);

// Files of `folder` in name order that match `is_wanted`.
template <class Predicate>
std::vector<std::filesystem::path> ListFolder(const std::filesystem::path& folder,
                                              Predicate is_wanted) {
  std::vector<std::filesystem::path> paths;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    if (is_wanted(entry.path())) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void AddUnknownSweeps(Store& store) {
  const std::set<std::string> known = store.SweepIds();
  const auto is_new = [&](const std::filesystem::path& path) {
    return path.extension() == ".json" && !path.filename().string().starts_with('.') &&
           !known.contains(path.stem().string());
  };
  std::vector<StoredSweep> sweeps;
  for (const auto& path : ListFolder(store.sweeps_folder(), is_new))
    sweeps.push_back(ReadStoredSweep(path));
  if (sweeps.empty()) return;
  std::sort(sweeps.begin(), sweeps.end(), [](const auto& a, const auto& b) {
    return a.added_at < b.added_at;
  });
  StoreTransaction transaction(store);
  for (const StoredSweep& stored : sweeps) transaction.AddSweep(stored.sweep, stored.added_at);
  transaction.Commit();
}

void AddUnknownImports(Store& store) {
  const std::set<std::string> known = store.ImportIds();
  const auto is_new = [&](const std::filesystem::path& path) {
    return !known.contains(path.filename().string()) &&
           std::filesystem::exists(path / "import.json");
  };
  const auto folders = ListFolder(store.imports_folder(), is_new);
  if (folders.empty()) return;
  StoreTransaction transaction(store);
  for (const auto& folder : folders) {
    const std::string path = folder / "import.json";
    const auto import = FieldsFromJson<StoredImport>(ReadJsonFile(path), path);
    transaction.AddImport(
        import.import_id, import.name, import.format, import.points, import.added_at);
  }
  transaction.Commit();
}

// A trainer that was told to stop may still save, also where its process cannot be seen; its lock
// says so.
void WaitForLock(const Store& store, const std::string& run_id, const std::string& where) {
  const RunDirectory directory = store.run_directory(run_id);
  const auto give_up = std::chrono::steady_clock::now() + kPatienceWithOrphans;
  while (IsLocked(directory.lock())) {
    if (std::chrono::steady_clock::now() > give_up)
      throw Failure(FailureCode::kStoreHeld,
                    fmt::format("run {} is still at work on {}, as its lock {} says: stop it, then "
                                "give the same command again",
                                run_id,
                                where,
                                directory.lock().string()));
    std::this_thread::sleep_for(kOrphanCheckEvery);
  }
}

std::string WhereOf(const OpenAttempt& open) {
  return open.host == HostName() ? "this machine"
                                 : fmt::format("{} (process {})", open.host, open.pid);
}

void CloseOpenAttempts(Store& store, std::vector<std::string>& notes) {
  std::vector<OpenAttempt> left;
  std::vector<OrphanedRun> here;
  for (const OpenAttempt& open : store.OpenAttempts()) {
    if (!open.job.empty()) continue;  // with a scheduler, which goes on without us
    left.push_back(open);
    if (open.host == HostName())
      here.push_back({open.run_id, store.run_directory(open.run_id).root(), open.pid});
  }
  EndOrphans(here, kPatienceWithOrphans, notes);
  for (const OpenAttempt& open : left) {
    WaitForLock(store, open.run_id, WhereOf(open));
    StoreTransaction transaction(store);
    ProcessEnd end;
    end.lost = true;
    CloseAttempt(store, transaction, open.run_id, open.attempt, end, /*asked=*/{}, notes);
    transaction.Commit();
  }
}

// The intent to start was recorded, the start was not.
void ResetHalfStartedRuns(Store& store, std::vector<std::string>& notes) {
  std::set<std::string> with_a_scheduler;
  for (const OpenAttempt& open : store.OpenAttempts()) with_a_scheduler.insert(open.run_id);
  std::vector<std::string> half_started;
  for (const auto& [run_id, state] : store.States()) {
    if (with_a_scheduler.contains(run_id)) continue;
    if (state == RunState::kSubmitting || state == RunState::kRunning)
      half_started.push_back(run_id);
  }
  if (half_started.empty()) return;
  std::vector<OrphanedRun> orphans;
  for (const std::string& run_id : half_started)
    orphans.push_back({run_id, store.run_directory(run_id).root(), 0});
  EndOrphans(orphans, kPatienceWithOrphans, notes);
  for (const std::string& run_id : half_started) WaitForLock(store, run_id, "this machine");
  StoreTransaction transaction(store);
  for (const std::string& run_id : half_started) {
    transaction.Transition(
        run_id, RunState::kPlanned, "sweep ended before the attempt was recorded");
  }
  transaction.Commit();
}

void FollowFiles(Store& store, std::vector<std::string>& notes) {
  AddUnknownSweeps(store);
  AddUnknownImports(store);
  store.ReplayJournal();
  CloseOpenAttempts(store, notes);
  ResetHalfStartedRuns(store, notes);
  for (const std::string& run_id : TakeRetryRequests(store))
    notes.push_back(fmt::format("run {}: planned again, as `sweep retry` asks", run_id));
}

}  // namespace

std::unique_ptr<Store> OpenForWriting(const std::filesystem::path& root,
                                      std::vector<std::string>& notes) {
  auto store = std::make_unique<Store>(root, Store::Access::kWrite);
  FollowFiles(*store, notes);
  return store;
}

void RebuildDatabase(const std::filesystem::path& root, std::vector<std::string>& notes) {
  {
    const Lease nobody_writes(root);
    for (const char* suffix : {"", "-wal", "-shm"}) {
      const std::filesystem::path old = root / (std::string("sweep.db") + suffix);
      std::error_code absent;
      std::filesystem::rename(old, root / (std::string("sweep.db.old") + suffix), absent);
    }
  }
  const std::unique_ptr<Store> store = OpenForWriting(root, notes);
  StoreTransaction transaction(*store);
  for (const auto& [run_id, state] : store->States()) {
    const IngestedRun ingested = IngestRun(*store, transaction, run_id);
    const std::vector<std::string> warnings = ingested.Warnings();
    notes.insert(notes.end(), warnings.begin(), warnings.end());
  }
  transaction.Commit();
}

void AddSweepToStore(Store& store, ExpandedSweep& sweep) {
  SweepRow& row = sweep;
  row.sweep_id.clear();
  row.sweep_id = ContentIdOfText(CanonicalFieldsInPieces(row));
  if (store.SweepIds().contains(row.sweep_id)) return;
  StoredSweep stored;
  stored.added_at = UnixTime();
  stored.source = sweep.source;
  stored.sweep = std::move(row);  // lent: of many runs a copy would be half of the memory in use
  PublishFileOnce(store.sweeps_folder() / (stored.sweep.sweep_id + ".json"),
                  [&](const TextSink& write) {
                    CanonicalFieldsInPieces(stored)(write);
                    write("\n");
                  });
  row = std::move(stored.sweep);
  StoreTransaction transaction(store);
  transaction.AddSweep(row, stored.added_at);
  transaction.Commit();
}

bool AddImportToStore(Store& store,
                      const std::string& name,
                      const std::string& format,
                      std::vector<ImportedPoint> points) {
  StoredImport stored;
  stored.name = name;
  stored.format = format;
  stored.points = std::move(points);
  stored.import_id = ContentId(FieldsToJson(stored).at("points"));
  stored.added_at = UnixTime();
  if (store.ImportIds().contains(stored.import_id)) return false;
  const std::filesystem::path folder = store.imports_folder() / stored.import_id;
  MakeDirectories(folder);
  PublishFileOnce(folder / "import.json", CanonicalDump(FieldsToJson(stored)) + "\n");
  AddUnknownImports(store);
  return true;
}

}  // namespace sweep
