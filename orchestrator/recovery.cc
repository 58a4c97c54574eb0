#include "orchestrator/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "core/canonical_fields.h"
#include "core/failure.h"
#include "core/file_lock.h"
#include "core/files.h"
#include "core/hash.h"
#include "db/lease.h"
#include "db/store_layout.h"
#include "db/stored_files.h"
#include "orchestrator/attempt_verdict.h"
#include "orchestrator/orphans.h"
#include "orchestrator/retry_request.h"
#include "orchestrator/take_in_files.h"

namespace sweep {
namespace {

constexpr auto kPatienceWithOrphans = std::chrono::seconds(30);
constexpr auto kOrphanCheckEvery = std::chrono::milliseconds(20);

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

void AddTo(std::vector<std::string>& notes, const FileTroubles& troubles) {
  notes.insert(notes.end(), troubles.damaged.begin(), troubles.damaged.end());
  notes.insert(notes.end(), troubles.remarks.begin(), troubles.remarks.end());
}

// Beside the old one, which stays as it is until the new one is whole.
void MakeDatabaseAnew(const std::filesystem::path& root, std::vector<std::string>& notes) {
  Store store(root, Store::Access::kRebuild);
  AddTo(notes, TakeInFiles(store));
  store.PutInPlace();
}

// An old copy of the database, or one that has lost its log, is brought up to date from the
// journal's tail. One that never followed any has to be made anew.
bool NeverFollowedItsFiles(const Store& store) {
  return !store.JournalOffset() && HasStoreFiles(store.root()) && store.SweepIds().empty() &&
         store.ImportIds().empty();
}

// The files may have changed since by the sweep that holds the store: they are judged by who gets
// it.
std::unique_ptr<Store> OpenWholeDatabase(const std::filesystem::path& root,
                                         std::vector<std::string>& notes) {
  const bool is_missing = Store::Exists(root) && !Store::HasDatabase(root);
  if (!is_missing) {
    auto store = std::make_unique<Store>(root, Store::Access::kWrite);
    if (!NeverFollowedItsFiles(*store)) return store;
  }
  notes.push_back(fmt::format("{} is missing or empty: it is made anew from the store's files",
                              (root / "sweep.db").string()));
  MakeDatabaseAnew(root, notes);
  return std::make_unique<Store>(root, Store::Access::kWrite);
}

}  // namespace

std::unique_ptr<Store> OpenForWriting(const std::filesystem::path& root,
                                      std::vector<std::string>& notes) {
  auto store = OpenWholeDatabase(root, notes);
  AddTo(notes, TakeInFiles(*store));
  CloseOpenAttempts(*store, notes);
  ResetHalfStartedRuns(*store, notes);
  for (const std::string& run_id : TakeRetryRequests(*store))
    notes.push_back(fmt::format("run {}: planned again, as `sweep retry` asks", run_id));
  return store;
}

void RebuildDatabase(const std::filesystem::path& root, std::vector<std::string>& notes) {
  if (!Store::Exists(root))
    throw Failure(FailureCode::kData, fmt::format("no store at {}", root.string()));
  MakeDatabaseAnew(root, notes);
  (void)OpenForWriting(root, notes);
}

namespace {

// A file that is there although the store, which takes in all that are whole, does not know it, is
// damaged: it stays beside the new one.
void PublishInPlaceOfDamaged(const std::filesystem::path& path, const TextSource& content) {
  if (PublishFileOnce(path, content)) return;
  MoveAside(path, "damaged");
  PublishFileOnce(path, content);
}

}  // namespace

void AddSweepToStore(Store& store, ExpandedSweep& sweep) {
  SweepRow& row = sweep;
  row.sweep_id = SweepIdOf(row);
  if (store.SweepIds().contains(row.sweep_id)) return;
  StoredSweep stored;
  stored.added_at = UnixTime();
  stored.source = sweep.source;
  stored.sweep = std::move(row);  // lent: of many runs a copy would be half of the memory in use
  PublishInPlaceOfDamaged(store.sweeps_folder() / (stored.sweep.sweep_id + ".json"),
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
  stored.import_id = ImportIdOf(stored);
  stored.added_at = UnixTime();
  if (store.ImportIds().contains(stored.import_id)) return false;
  const std::filesystem::path folder = store.imports_folder() / stored.import_id;
  MakeDirectories(folder);
  PublishInPlaceOfDamaged(folder / "import.json", [&](const TextSink& write) {
    write(CanonicalDump(FieldsToJson(stored)) + "\n");
  });
  (void)TakeInFiles(store);
  return true;
}

}  // namespace sweep
