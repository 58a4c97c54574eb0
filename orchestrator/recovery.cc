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
#include "orchestrator/ingest.h"
#include "orchestrator/orphans.h"
#include "orchestrator/retry_request.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

constexpr auto kPatienceWithOrphans = std::chrono::seconds(30);
constexpr auto kOrphanCheckEvery = std::chrono::milliseconds(20);

// What `read` makes of each of `paths`; one that is damaged costs itself alone and is told.
template <class Read>
auto ReadWhole(const std::vector<std::filesystem::path>& paths,
               Read read,
               std::vector<std::string>& notes) {
  std::vector<decltype(read(paths.front()))> whole;
  for (const auto& path : paths) {
    try {
      whole.push_back(read(path));
    } catch (const Failure& failure) {
      if (!IsAboutTheFile(failure)) throw;
      notes.emplace_back(failure.what());
    }
  }
  return whole;
}

std::vector<StoredSweep> UnknownSweeps(const Store& store, std::vector<std::string>& notes) {
  const std::set<std::string> known = store.SweepIds();
  std::vector<std::filesystem::path> unknown;
  for (const auto& path : ListFolder(store.sweeps_folder())) {
    if (path.extension() == ".json" && !path.filename().string().starts_with('.') &&
        !known.contains(path.stem().string()))
      unknown.push_back(path);
  }
  auto sweeps = ReadWhole(unknown, ReadStoredSweep, notes);
  std::sort(sweeps.begin(), sweeps.end(), [](const auto& a, const auto& b) {
    return a.added_at < b.added_at;
  });
  return sweeps;
}

std::vector<StoredImport> UnknownImports(const Store& store, std::vector<std::string>& notes) {
  const std::set<std::string> known = store.ImportIds();
  std::vector<std::filesystem::path> unknown;
  for (const auto& folder : ListFolder(store.imports_folder())) {
    if (known.contains(folder.filename().string())) continue;
    std::error_code absent;  // as after a crash between the folder and its file
    if (std::filesystem::is_directory(folder) &&
        std::filesystem::symlink_status(folder / "import.json", absent).type() ==
            std::filesystem::file_type::not_found)
      continue;
    unknown.push_back(folder / "import.json");
  }
  return ReadWhole(unknown, ReadStoredImport, notes);
}

// A run whose result lies on the disk has ended as that says, whatever else is known of it.
void FollowResult(const Store& store,
                  StoreTransaction& transaction,
                  const std::string& run_id,
                  const RunResult& result) {
  const RunState to =
      result.outcome == "diverged" ? RunState::kDiverged : RunState::kCompleted;
  const std::optional<RunRecord> run = store.FindRun(run_id);
  if (!run || run->state == to || !CanTransition(run->state, to)) return;
  // Known before, and then somebody had the run tried again.
  if (to == RunState::kDiverged && store.HasBeen(run_id, to)) return;
  transaction.Transition(run_id,
                         to,
                         "its result was found on the disk",
                         to == RunState::kDiverged ? "diverged" : "",
                         result.message);
}

void TakeInRun(const Store& store,
               StoreTransaction& transaction,
               const std::string& run_id,
               std::vector<std::string>& notes) {
  const IngestedRun ingested = IngestRun(store, transaction, run_id);
  const std::vector<std::string> warnings = ingested.Warnings();
  notes.insert(notes.end(), warnings.begin(), warnings.end());
  if (ingested.result) FollowResult(store, transaction, run_id, *ingested.result);
}

// Sweeps, imports and journal, and the folders of all runs that they are about: together or not at
// all, so that what was not taken in is known by what the database has followed.
void TakeInFiles(Store& store, std::vector<std::string>& notes) {
  const std::vector<StoredSweep> sweeps = UnknownSweeps(store, notes);
  const std::vector<StoredImport> imports = UnknownImports(store, notes);
  StoreTransaction transaction(store);
  for (const StoredSweep& stored : sweeps) transaction.AddSweep(stored.sweep, stored.added_at);
  for (const StoredImport& import : imports)
    transaction.AddImport(
        import.import_id, import.name, import.format, import.points, import.added_at);
  Replay replay = transaction.ReplayJournal();
  notes.insert(notes.end(), replay.notes.begin(), replay.notes.end());
  if (sweeps.empty() && imports.empty() && !replay.changed) return;
  for (const StoredSweep& stored : sweeps) {
    for (const RunRow& run : stored.sweep.runs) replay.runs.insert(run.run_id);
  }
  for (const auto& [run_id, state] : store.States()) {
    if (replay.is_whole || replay.runs.contains(run_id))
      TakeInRun(store, transaction, run_id, notes);
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

// Beside the old one, which stays as it is until the new one is whole.
void MakeDatabaseAnew(const std::filesystem::path& root, std::vector<std::string>& notes) {
  Store store(root, Store::Access::kRebuild);
  TakeInFiles(store, notes);
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
  const bool is_missing = !Store::Exists(root) && HasStoreFiles(root);
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
  TakeInFiles(*store, notes);
  CloseOpenAttempts(*store, notes);
  ResetHalfStartedRuns(*store, notes);
  for (const std::string& run_id : TakeRetryRequests(*store))
    notes.push_back(fmt::format("run {}: planned again, as `sweep retry` asks", run_id));
  return store;
}

void RebuildDatabase(const std::filesystem::path& root, std::vector<std::string>& notes) {
  if (!Store::Exists(root) && !HasStoreFiles(root))
    throw Failure(FailureCode::kData, fmt::format("no store at {}", root.string()));
  MakeDatabaseAnew(root, notes);
  (void)OpenForWriting(root, notes);
}

namespace {

// A file that is there although the store, which takes in all that are whole, does not know it, is
// damaged: it stays beside the new one.
void PublishInPlaceOfDamaged(const std::filesystem::path& path, const TextSource& content) {
  if (PublishFileOnce(path, content)) return;
  RenameFile(path, path.string() + ".damaged");
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
  std::vector<std::string> notes;
  TakeInFiles(store, notes);
  return true;
}

}  // namespace sweep
