#include "orchestrator/ingest.h"

#include <fmt/format.h>

#include <fstream>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

// Whole lines from `offset` on; a torn tail is left for the next time.
std::string ReadWholeLines(const std::filesystem::path& path, int64_t offset) {
  std::ifstream in(path, std::ios::binary);
  if (!in.seekg(offset)) return "";
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  text.resize(text.rfind('\n') + 1);  // npos + 1 == 0
  return text;
}

void IngestEvents(const Store& store,
                  StoreTransaction& transaction,
                  const std::string& run_id,
                  int64_t attempt,
                  IngestedRun& ingested) {
  const std::filesystem::path path = store.run_directory(run_id).events(attempt);
  const int64_t offset = store.EventOffset(run_id, attempt);
  const std::string text = ReadWholeLines(path, offset);
  if (text.empty()) return;
  std::vector<Json> events;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = text.find('\n', at);
    EventLine line = ParseEventLine(std::string_view(text).substr(at, newline - at));
    if (line.status == EventLine::Status::kWhole) {
      events.push_back(std::move(line.event));
    } else {
      ingested.warnings.push_back(fmt::format("{}: the line at byte {} is damaged and was skipped",
                                              path.string(),
                                              offset + static_cast<int64_t>(at)));
    }
    at = newline + 1;
  }
  transaction.RecordEvents(run_id, attempt, events, offset + static_cast<int64_t>(text.size()));
}

// A file that cannot be understood is a warning; a database that cannot be written is not.
bool IsAboutTheFile(const Failure& failure) {
  return failure.code() == FailureCode::kUsage || failure.code() == FailureCode::kData;
}

// A trainer may have published files without syncing their folders, or at all. The index must not
// know of what a loss of power would take away: it would never be made again.
void MakeDurable(const std::filesystem::path& file) {
  SyncFile(file);
  SyncDirectory(file.parent_path());
}

// The checkpoint that a result names, and the folders on the way to it from the run's.
void MakeCheckpointDurable(const RunDirectory& directory, const std::string& checkpoint) {
  const std::filesystem::path folder = directory.root() / checkpoint;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    if (entry.is_regular_file() && !entry.is_symlink()) SyncFile(entry.path());
  }
  if (absent) return;
  std::filesystem::path at = directory.root();
  for (const std::filesystem::path& name : std::filesystem::path(checkpoint)) {
    SyncDirectory(at);
    at /= name;
  }
  SyncDirectory(folder);
}

void IngestResult(const Store& store,
                  const RunDirectory& directory,
                  StoreTransaction& transaction,
                  const std::string& run_id,
                  IngestedRun& ingested) {
  std::optional<RunResult> result = ReadResult(directory);
  if (!result) return;
  if (result->run_id != run_id) {
    throw Failure(
        FailureCode::kData,
        fmt::format("{} is the result of run {}", directory.result().string(), result->run_id));
  }
  if (store.FindRun(run_id)->state != RunState::kCompleted) {
    if (!result->checkpoint.empty()) MakeCheckpointDurable(directory, result->checkpoint);
    MakeDurable(directory.result());
  }
  transaction.RecordResult(*result);
  ingested.result = std::move(result);
}

void IngestEvaluations(const RunDirectory& directory,
                       StoreTransaction& transaction,
                       const std::string& run_id,
                       IngestedRun& ingested) {
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(directory.evaluations(), absent)) {
    if (entry.path().extension() != ".json" || entry.path().filename().string().starts_with('.'))
      continue;
    try {
      const EvaluationResult evaluation = ReadEvaluationResult(entry.path());
      if (evaluation.run_id != run_id ||
          evaluation.eval_id != EvaluationId(run_id, evaluation.samples_seen, evaluation.spec)) {
        throw Failure(FailureCode::kData,
                      entry.path().string() + ": its ids do not match its content");
      }
      if (transaction.RecordEvaluation(evaluation)) MakeDurable(entry.path());
    } catch (const Failure& failure) {
      if (!IsAboutTheFile(failure)) throw;
      ingested.warnings.emplace_back(failure.what());
    }
  }
}

}  // namespace

IngestedRun IngestRun(const Store& store,
                      StoreTransaction& transaction,
                      const std::string& run_id) {
  IngestedRun ingested;
  const RunDirectory directory = store.run_directory(run_id);
  for (const int64_t attempt : directory.AttemptNumbers()) {
    IngestEvents(store, transaction, run_id, attempt, ingested);
  }
  try {
    IngestResult(store, directory, transaction, run_id, ingested);
  } catch (const Failure& failure) {
    if (!IsAboutTheFile(failure)) throw;
    ingested.warnings.emplace_back(failure.what());
  }
  IngestEvaluations(directory, transaction, run_id, ingested);
  return ingested;
}

}  // namespace sweep
