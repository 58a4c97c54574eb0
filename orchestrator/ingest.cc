#include "orchestrator/ingest.h"

#include <fmt/format.h>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/printable.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

constexpr size_t kMostToldBytes = 1000;

// A trainer may have published files without syncing their folders, or at all. The index must not
// know of what a loss of power would take away: it would never be made again.
void MakeDurable(const std::filesystem::path& file) {
  SyncFile(file);
  SyncDirectory(file.parent_path());
}

// The checkpoint that a result names, and the folders on the way to it from the run's.
void MakeCheckpointDurable(const RunDirectory& directory, const std::string& checkpoint) {
  const std::filesystem::path folder = directory.root() / checkpoint;
  std::error_code unknown;
  if (checkpoint.empty() || !std::filesystem::is_directory(folder, unknown)) return;
  for (const auto& path : ListFolder(folder)) {
    if (std::filesystem::is_regular_file(std::filesystem::symlink_status(path, unknown)))
      SyncFile(path);
  }
  std::filesystem::path at = directory.root();
  for (const std::filesystem::path& name : std::filesystem::path(checkpoint)) {
    SyncDirectory(at);
    at /= name;
  }
  SyncDirectory(folder);
}

class RunIngest {
 public:
  RunIngest(const Store& store, StoreTransaction& transaction, const std::string& run_id)
      : store_(store),
        transaction_(transaction),
        run_(store.FindRun(run_id).value()),
        directory_(store.run_directory(run_id)) {}

  void TakeEvents(EventsTaken events) {
    std::vector<int64_t> attempts;
    Try([&] { attempts = directory_.AttemptNumbers(); }, [&](auto what) { TellOfEvents(what); });
    for (const int64_t attempt : attempts) {
      Try(
          [&] {
            while (TakePiece(attempt) && events == EventsTaken::kAll) {
            }
          },
          [&](auto what) { TellOfEvents(what); });
    }
  }

  void TakeResult() {
    Try(
        [&] {
          auto result = ReadResultOf(directory_, run_.run_id, run_.segment_samples_seen);
          if (!result) return;
          // What is done keeps its result when somebody removes its checkpoints.
          if (IsAtWork()) RequireCheckpoint(directory_, *result);
          if (run_.state != RunState::kCompleted) {
            MakeCheckpointDurable(directory_, result->checkpoint);
            MakeDurable(directory_.result());
          }
          transaction_.RecordResult(*result);
          ingested_.result = std::move(result);
        },
        [&](auto what) { ingested_.bad_result = what; });
  }

  void TakeEvaluations() {
    const auto tell = [&](auto what) { ingested_.bad_evaluations.push_back(what); };
    std::vector<std::filesystem::path> files;
    Try([&] { files = ListFolder(directory_.evaluations()); }, tell);
    const IdSet known = store_.FinishedEvaluations(run_.run_id);
    for (const auto& path : files) {
      const bool named = path.extension() == ".json" && !path.filename().string().starts_with('.');
      if (!named || known.contains(path.stem().string())) continue;
      Try(
          [&] {
            const EvaluationResult evaluation = ReadEvaluationOf(
                directory_, run_.run_id, run_.segment_samples_seen, path.stem().string());
            if (transaction_.RecordEvaluation(evaluation)) MakeDurable(path);
          },
          tell);
    }
  }

  [[nodiscard]] IngestedRun Take() { return std::move(ingested_); }

 private:
  // Hands on what is wrong with a file. What is wrong with the disk or the database goes further.
  template <class Read, class Tell>
  static void Try(const Read& read, const Tell& tell) {
    try {
      read();
    } catch (const Failure& failure) {
      if (!IsAboutTheFile(failure)) throw;
      tell(Printable(failure.what(), kMostToldBytes));
    }
  }

  bool TakePiece(int64_t attempt) {
    const std::filesystem::path path = directory_.events(attempt);
    EventPiece piece =
        ReadEvents(path, store_.EventOffset(run_.run_id, attempt), run_.total_samples_seen);
    const std::vector<int64_t> taken =
        transaction_.RecordEvents(run_.run_id, attempt, piece.events, piece.end);
    for (const std::string& problem : piece.problems) TellOfEvents(problem);
    if (!taken.empty()) {
      TellOfEvents(
          fmt::format("{}: {} events were skipped, the first with seq {}: an earlier one "
                      "has the same seq",
                      path.string(),
                      taken.size(),
                      taken.front()));
    }
    return piece.more;
  }

  // The file of a trainer that writes something else altogether has many pieces.
  void TellOfEvents(const std::string& problem) {
    constexpr size_t kMostTold = 10;
    if (ingested_.bad_events.size() < kMostTold) ingested_.bad_events.push_back(problem);
  }

  [[nodiscard]] bool IsAtWork() const {
    return run_.state == RunState::kSubmitting || run_.state == RunState::kQueued ||
           run_.state == RunState::kRunning;
  }

  const Store& store_;
  StoreTransaction& transaction_;
  RunRecord run_;
  RunDirectory directory_;
  IngestedRun ingested_;
};

}  // namespace

std::vector<std::string> IngestedRun::Warnings() const {
  std::vector<std::string> all = bad_events;
  if (!bad_result.empty()) all.push_back(bad_result);
  all.insert(all.end(), bad_evaluations.begin(), bad_evaluations.end());
  return all;
}

IngestedRun IngestRun(const Store& store,
                      StoreTransaction& transaction,
                      const std::string& run_id,
                      EventsTaken events) {
  RunIngest ingest(store, transaction, run_id);
  ingest.TakeEvents(events);
  if (events == EventsTaken::kAll) ingest.TakeResult();
  ingest.TakeEvaluations();
  return ingest.Take();
}

}  // namespace sweep
