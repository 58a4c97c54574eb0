#include "orchestrator/run_folder.h"

#include <fmt/format.h>

#include <set>

#include "core/failure.h"
#include "core/files.h"
#include "core/printable.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDamaged = "damaged";
constexpr size_t kMostToldBytes = 1000;

// Of one evaluation, by all attempts whose attempt.json can be read.
std::set<std::string> LabelsAsked(const RunDirectory& directory, const std::string& eval_id) {
  std::set<std::string> labels;
  for (const int64_t attempt : directory.AttemptNumbers()) {
    try {
      for (const auto& asked : ReadAttemptRequest(directory, attempt).evaluations) {
        if (asked.eval_id == eval_id) labels.insert(asked.eval_dataset);
      }
    } catch (const Failure& failure) {
      if (!IsAboutTheFile(failure)) throw;
    }
  }
  return labels;
}

class WayClearer {
 public:
  WayClearer(const RunDirectory& directory, const ExpectedFolder& expected)
      : directory_(directory), expected_(expected) {}

  std::vector<std::string> ClearInputs(int64_t attempt) {
    ClearUnlessRead(directory_.spec(), [&] { RequireSpec(); });
    ClearUnlessRead(directory_.request(attempt), [&] { RequireRequest(attempt); });
    return std::move(notes_);
  }

  std::vector<std::string> Clear() {
    for (const auto& folder : {directory_.root(), directory_.attempts(), directory_.evaluations()})
      ClearFolder(folder);
    ClearLock();
    ClearUnlessRead(directory_.spec(), [&] { RequireSpec(); });
    if (expected_.train) ClearUnlessRead(directory_.result(), [&] { RequireResult(); });
    if (expected_.train && expected_.again) ClearDivergence();
    for (const std::string& eval_id : expected_.evaluations)
      ClearUnlessRead(directory_.evaluation(eval_id), [&] {
        (void)ReadEvaluationOf(directory_, expected_.run_id, expected_.samples_seen, eval_id);
      });
    return std::move(notes_);
  }

 private:
  void ClearFolder(const fs::path& path) {
    std::error_code unknown;
    if (IsTaken(path) && !fs::is_directory(path, unknown))
      Move(path, kDamaged, path.string() + " is not a folder");
  }

  // A trainer would wait for a pipe's other end, and write through a link.
  void ClearLock() {
    const fs::path path = directory_.lock();
    std::error_code unknown;
    if (IsTaken(path) && !fs::is_regular_file(fs::symlink_status(path, unknown)))
      Move(path, kDamaged, path.string() + " is not a regular file");
  }

  template <class Read>
  void ClearUnlessRead(const fs::path& path, const Read& read) {
    if (!IsTaken(path)) return;
    try {
      read();
    } catch (const Failure& failure) {
      if (!IsAboutTheFile(failure)) throw;
      Move(path, kDamaged, failure.what());
    }
  }

  void RequireSpec() const {
    if (RunId(ReadSpecFile(directory_)) != expected_.run_id)
      throw Malformed(directory_.spec().string() + ": it is another run's");
  }

  void RequireRequest(int64_t attempt) const {
    const AttemptRequest request = ReadAttemptRequest(directory_, attempt);
    if (request.run_id != expected_.run_id || request.attempt != attempt)
      throw Malformed(directory_.request(attempt).string() + ": it is of another attempt");
  }

  void RequireResult() const {
    const auto result = ReadResultOf(directory_, expected_.run_id, expected_.samples_seen);
    if (result) RequireCheckpoint(directory_, *result);
  }

  void ClearDivergence() {
    const std::optional<RunResult> result = ReadResult(directory_);
    if (result && result->outcome == "diverged")
      Move(directory_.result(), "diverged", "the run diverged and is tried again");
  }

  void Move(const fs::path& path, const char* reason, const std::string& why) {
    notes_.push_back(fmt::format("{}; it is now {}",
                                 Printable(why, kMostToldBytes),
                                 MoveAside(path, reason).filename().string()));
  }

  const RunDirectory& directory_;
  const ExpectedFolder& expected_;
  std::vector<std::string> notes_;
};

}  // namespace

std::vector<std::string> ClearTheWay(const RunDirectory& directory,
                                     const ExpectedFolder& expected) {
  return WayClearer(directory, expected).Clear();
}

std::vector<std::string> MoveDamagedInputs(const RunDirectory& directory,
                                           const std::string& run_id,
                                           int64_t attempt) {
  const ExpectedFolder expected{run_id};
  return WayClearer(directory, expected).ClearInputs(attempt);
}

bool IsAboutTheFile(const Failure& failure) {
  return failure.code() == FailureCode::kUsage || failure.code() == FailureCode::kData;
}

EvaluationResult ReadEvaluationOf(const RunDirectory& directory,
                                  const std::string& run_id,
                                  int64_t samples_seen,
                                  const std::string& eval_id) {
  const fs::path path = directory.evaluation(eval_id);
  EvaluationResult evaluation = ReadEvaluationResult(path);
  if (evaluation.run_id != run_id) {
    throw Malformed(
        fmt::format("{}: it is an evaluation of run {}", path.string(), evaluation.run_id));
  }
  if (evaluation.samples_seen < 0 || evaluation.samples_seen > samples_seen) {
    throw Malformed(fmt::format("{}: samples_seen is {}, expected at most {}",
                                path.string(),
                                evaluation.samples_seen,
                                samples_seen));
  }
  const std::set<std::string> labels = LabelsAsked(directory, eval_id);
  if (!labels.empty() && !labels.contains(evaluation.eval_dataset)) {
    throw Malformed(fmt::format("{}: eval_dataset is '{}', but '{}' was asked for",
                                path.string(),
                                evaluation.eval_dataset,
                                fmt::join(labels, "' or '")));
  }
  return evaluation;
}

}  // namespace sweep
