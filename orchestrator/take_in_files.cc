#include "orchestrator/take_in_files.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/failure.h"
#include "core/files.h"
#include "db/stored_files.h"
#include "orchestrator/ingest.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

void Append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// What `read` makes of each of `paths`; one that is damaged costs itself alone and is told.
template <class Read>
auto ReadWhole(const std::vector<std::filesystem::path>& paths, Read read, FileTroubles& troubles) {
  std::vector<decltype(read(paths.front()))> whole;
  for (const auto& path : paths) {
    try {
      whole.push_back(read(path));
    } catch (const Failure& failure) {
      if (!IsAboutTheFile(failure)) throw;
      troubles.damaged.emplace_back(failure.what());
    }
  }
  return whole;
}

std::vector<StoredSweep> UnknownSweeps(const Store& store, FileTroubles& troubles) {
  const std::set<std::string> known = store.SweepIds();
  std::vector<std::filesystem::path> unknown;
  for (const auto& path : ListFolder(store.sweeps_folder())) {
    if (path.extension() == ".json" && !path.filename().string().starts_with('.') &&
        !known.contains(path.stem().string()))
      unknown.push_back(path);
  }
  auto sweeps = ReadWhole(unknown, ReadStoredSweep, troubles);
  std::sort(sweeps.begin(), sweeps.end(), [](const auto& a, const auto& b) {
    return a.added_at < b.added_at;
  });
  return sweeps;
}

std::vector<StoredImport> UnknownImports(const Store& store, FileTroubles& troubles) {
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
  return ReadWhole(unknown, ReadStoredImport, troubles);
}

// A run whose result lies on the disk has ended as that says, whatever else is known of it.
void FollowResult(const Store& store,
                  StoreTransaction& transaction,
                  const std::string& run_id,
                  const RunResult& result) {
  const RunState to = result.outcome == "diverged" ? RunState::kDiverged : RunState::kCompleted;
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
               FileTroubles& troubles) {
  const IngestedRun ingested = IngestRun(store, transaction, run_id);
  Append(troubles.remarks, ingested.bad_events);
  if (!ingested.bad_result.empty()) troubles.damaged.push_back(ingested.bad_result);
  Append(troubles.damaged, ingested.bad_evaluations);
  if (ingested.result) FollowResult(store, transaction, run_id, *ingested.result);
}

}  // namespace

FileTroubles TakeInFiles(Store& store) {
  FileTroubles troubles;
  const std::vector<StoredSweep> sweeps = UnknownSweeps(store, troubles);
  const std::vector<StoredImport> imports = UnknownImports(store, troubles);
  StoreTransaction transaction(store);
  for (const StoredSweep& stored : sweeps) transaction.AddSweep(stored.sweep, stored.added_at);
  for (const StoredImport& import : imports)
    transaction.AddImport(
        import.import_id, import.name, import.format, import.points, import.added_at);
  Replay replay = transaction.ReplayJournal();
  Append(troubles.damaged, replay.damaged);
  Append(troubles.remarks, replay.odd);
  if (sweeps.empty() && imports.empty() && !replay.changed) return troubles;
  for (const StoredSweep& stored : sweeps) {
    for (const RunRow& run : stored.sweep.runs) replay.runs.insert(run.run_id);
  }
  for (const auto& [run_id, state] : store.States()) {
    if (replay.is_whole || replay.runs.contains(run_id))
      TakeInRun(store, transaction, run_id, troubles);
  }
  transaction.Commit();
  return troubles;
}

}  // namespace sweep
