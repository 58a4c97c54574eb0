#include "orchestrator/retry_request.h"

#include <unistd.h>

#include <algorithm>

#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "db/lease.h"
#include "db/store_layout.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

struct RetryRequest {
  std::string schema = "sweep.retry_request/1";
  double at = 0;  ///< Unix time
  std::vector<std::string> runs;
};

template <class Visitor>
void VisitFields(Visitor& visit, RetryRequest& s) {
  visit("schema", s.schema);
  visit("at", s.at);
  visit("runs", s.runs);
}

std::filesystem::path RequestsFolder(const std::filesystem::path& store) {
  return store / "requests";
}

// Anything else there, a folder or a link, is no request and stays.
std::vector<std::filesystem::path> RequestFiles(const std::filesystem::path& store) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : ListFolder(RequestsFolder(store))) {
    const bool named = path.extension() == ".json" && !path.filename().string().starts_with('.');
    std::error_code absent;
    const auto type = std::filesystem::symlink_status(path, absent).type();
    if (named && type == std::filesystem::file_type::regular) files.push_back(path);
  }
  return files;
}

}  // namespace

bool CanBeRetried(RunState state) {
  return state == RunState::kFailed || state == RunState::kDiverged ||
         state == RunState::kCancelled;
}

void LeaveRetryRequest(const std::filesystem::path& store, const std::vector<std::string>& runs) {
  RetryRequest request;
  request.at = UnixTime();
  request.runs = runs;
  RequireOwnLayout(store);
  MakeDirectories(RequestsFolder(store));
  const std::string name = fmt::format("{:.6f}-{}-{}.json", request.at, HostName(), ::getpid());
  PublishFileOnce(RequestsFolder(store) / name, FieldsToJson(request).dump() + "\n");
}

std::vector<std::string> Retry(Store& store, const std::vector<std::string>& runs) {
  std::vector<std::string> retried;
  StoreTransaction transaction(store);
  for (const std::string& run_id : runs) {
    const std::optional<RunRecord> run = store.FindRun(run_id);
    if (!run || !CanBeRetried(run->state)) continue;
    transaction.Transition(run_id, RunState::kPlanned, kRetryReason);
    retried.push_back(run_id);
  }
  transaction.Commit();
  return retried;
}

std::vector<std::string> TakeRetryRequests(Store& store) {
  const std::vector<std::filesystem::path> files = RequestFiles(store.root());
  if (files.empty()) return {};
  std::vector<std::string> runs;
  for (const auto& file : files) {
    try {
      const auto request = FieldsFromJson<RetryRequest>(ReadJsonFile(file.string()), file.string());
      runs.insert(runs.end(), request.runs.begin(), request.runs.end());
    } catch (const Failure& failure) {
      // Not a request: it asks for nothing, and must not stop the sweep.
      if (!IsAboutTheFile(failure)) throw;
    }
  }
  std::vector<std::string> retried = Retry(store, runs);
  for (const auto& file : files) {
    std::error_code failed;
    if (!std::filesystem::remove(file, failed) && failed)
      ThrowFileError("cannot remove", file, failed.value());
  }
  return retried;
}

}  // namespace sweep
