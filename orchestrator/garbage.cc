#include "orchestrator/garbage.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/failure.h"
#include "core/file_lock.h"
#include "core/run_directory.h"
#include "db/stored_files.h"
#include "orchestrator/sweep_job.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

constexpr auto kOld = std::chrono::hours(1);

double BytesOf(const fs::path& path) {
  std::error_code unreadable;
  if (fs::is_symlink(path, unreadable)) return 0;
  if (fs::is_regular_file(path, unreadable))
    return static_cast<double>(fs::file_size(path, unreadable));
  double bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path, unreadable)) {
    if (!entry.is_symlink(unreadable) && entry.is_regular_file(unreadable))
      bytes += static_cast<double>(entry.file_size(unreadable));
  }
  return bytes;
}

bool IsOld(const fs::path& path) {
  std::error_code gone;
  const auto written = fs::last_write_time(path, gone);
  return !gone && fs::file_time_type::clock::now() - written > kOld;
}

// Files that WriteFileAtomic, and folders that a checkpoint, did not come to rename.
bool IsTemporary(const fs::path& path) {
  const std::string name = path.filename().string();
  return (name.starts_with('.') && name.ends_with(".tmp")) || name.starts_with(".writing-");
}

// What every sweep of the store needs, by run: by its files, as the database may not know the last.
std::map<std::string, std::set<int64_t>> NeededByAnySweep(const Store& store) {
  std::map<std::string, std::set<int64_t>> needed;
  for (const auto& entry : fs::directory_iterator(store.sweeps_folder())) {
    const std::string path = entry.path().string();
    if (entry.path().extension() != ".json" || IsTemporary(entry.path())) continue;
    const StoredSweep stored = ReadStoredSweep(path);
    for (const auto& [run_id, samples] : CheckpointsNeeded(stored.sweep))
      needed[run_id].insert(samples.begin(), samples.end());
    for (const RunRow& run : stored.sweep.runs) needed[run.run_id].insert(run.spec.samples_seen);
  }
  return needed;
}

void AddCheckpoints(const RunDirectory& directory,
                    RunState state,
                    std::set<int64_t> keep,
                    std::vector<Garbage>& garbage) {
  const bool over = state == RunState::kCompleted;
  try {
    for (const int64_t attempt : directory.AttemptNumbers()) {
      const auto keep_at = ReadAttemptRequest(directory, attempt).keep_at;
      keep.insert(keep_at.begin(), keep_at.end());
    }
    // Such a run may go back further than to the last two.
    if (!over && ReadSpecFile(directory).instability.reaction == "rewind") return;
  } catch (const Failure&) {
    return;  // what somebody asked to keep is not known
  }
  const size_t newest = over ? 1 : kNewestCheckpointsKept;
  std::set<int64_t> seen;
  for (const auto& [samples, path] : directory.CheckpointFolders()) {
    if (seen.size() < newest) seen.insert(samples);
    if (!seen.contains(samples) && !keep.contains(samples))
      garbage.push_back({"checkpoint", path, BytesOf(path)});
  }
}

void AddTemporaries(const fs::path& folder, std::vector<Garbage>& garbage) {
  std::error_code absent;
  for (auto entry = fs::recursive_directory_iterator(folder, absent);
       entry != fs::recursive_directory_iterator();
       entry.increment(absent)) {
    if (!IsTemporary(entry->path())) continue;
    entry.disable_recursion_pending();
    if (IsOld(entry->path()))
      garbage.push_back({"temporary", entry->path(), BytesOf(entry->path())});
  }
}

// The first symbolic link on the way from `root` to `path`, which lies below it, or nullopt.
std::optional<fs::path> LinkBetween(const fs::path& root, const fs::path& path) {
  fs::path at = root;
  for (const fs::path& name : path.lexically_relative(root)) {
    at /= name;
    std::error_code gone;
    if (fs::is_symlink(at, gone)) return at;
  }
  return std::nullopt;
}

// Moves what a link leads to out of the garbage: the link itself is told.
GarbageReport WithoutLinks(const fs::path& root,
                           std::vector<Garbage> found,
                           std::set<fs::path> links) {
  GarbageReport report;
  for (Garbage& item : found) {
    if (auto link = LinkBetween(root, item.path)) {
      links.insert(std::move(*link));
    } else {
      report.garbage.push_back(std::move(item));
    }
  }
  report.links.assign(links.begin(), links.end());
  return report;
}

}  // namespace

GarbageReport FindGarbage(const Store& store, bool unlisted_runs) {
  std::set<std::string> at_work;
  for (const OpenAttempt& open : store.OpenAttempts()) at_work.insert(open.run_id);
  const auto needed = NeededByAnySweep(store);
  const auto known = store.States();

  std::vector<Garbage> garbage;
  std::set<fs::path> links;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(store.root() / "runs", absent)) {
    if (auto link = LinkBetween(store.root(), entry.path())) {
      links.insert(std::move(*link));
      continue;
    }
    const std::string run_id = entry.path().filename().string();
    const RunDirectory directory(entry.path());
    if (at_work.contains(run_id) || IsLocked(directory.lock())) continue;
    const auto run = known.find(run_id);
    if (run == known.end()) {
      if (unlisted_runs && !needed.contains(run_id))
        garbage.push_back({"unlisted_run", entry.path(), BytesOf(entry.path())});
      continue;
    }
    const auto keep = needed.find(run_id);
    // A run whose sweep's file is not there keeps everything.
    if (keep != needed.end()) AddCheckpoints(directory, run->second, keep->second, garbage);
    AddTemporaries(entry.path(), garbage);
  }
  for (const fs::path& folder : {store.sweeps_folder(), store.imports_folder()})
    AddTemporaries(folder, garbage);
  return WithoutLinks(store.root(), std::move(garbage), std::move(links));
}

}  // namespace sweep
