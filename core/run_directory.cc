#include "core/run_directory.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "core/sealed_json.h"

namespace sweep {
namespace {

constexpr const char* kRunSchema = "sweep.run/1";

// Every file carries its format's version; a newer one is refused rather than half understood.
template <class File>
File FromVersioned(const Json& json, const std::string& path) {
  const std::string expected = File().schema;
  const std::string found = FindText(json, "schema").value_or("absent");
  if (found != expected)
    throw Malformed(fmt::format("{}: schema is '{}', expected '{}'", path, found, expected));
  return FieldsFromJson<File>(json, path);
}

SealedJson ReadSealed(const std::filesystem::path& path) {
  return ParseSealedJson(ReadFile(path, kMostRecordBytes), path.string());
}

// Refuses what a file says unless `holds`; the file's name goes first.
template <class... Values>
void Require(bool holds,
             const std::filesystem::path& path,
             fmt::format_string<Values...> format,
             Values&&... values) {
  if (!holds)
    throw Malformed(
        fmt::format("{}: {}", path.string(), fmt::format(format, std::forward<Values>(values)...)));
}

bool IsDuration(double seconds) {
  constexpr double kMostSeconds = 1e10;  // three centuries
  return seconds >= 0 && seconds <= kMostSeconds;
}

// Relative, and not out of the folder that it is relative to.
bool StaysBelow(const std::filesystem::path& relative) {
  return relative.is_relative() &&
         std::find(relative.begin(), relative.end(), "..") == relative.end();
}

void CheckResult(const RunResult& result, const std::filesystem::path& path) {
  const bool completed = result.outcome == "completed";
  Require(completed || result.outcome == "diverged",
          path,
          "outcome is '{}', expected 'completed' or 'diverged'",
          result.outcome);
  Require(result.attempt >= 1, path, "attempt is {}, expected 1 or more", result.attempt);
  Require(result.samples_seen >= 0, path, "samples_seen is {}", result.samples_seen);
  Require(IsDuration(result.train_seconds), path, "train_seconds is {}", result.train_seconds);
  Require(StaysBelow(result.checkpoint),
          path,
          "checkpoint is '{}', expected a folder below the run's",
          result.checkpoint);
}

bool HasUnitRange(const std::string& metric) {
  static const std::set<std::string> metrics = {"acc1",
                                                "acc5",
                                                "mean_per_class_recall",
                                                "mean_average_precision",
                                                "image_retrieval_recall@1",
                                                "image_retrieval_recall@5",
                                                "image_retrieval_recall@10",
                                                "text_retrieval_recall@1",
                                                "text_retrieval_recall@5",
                                                "text_retrieval_recall@10"};
  return metrics.contains(metric);
}

void CheckMetric(const std::string& name,
                 const MetricValue& metric,
                 const std::filesystem::path& path) {
  const bool in_range = !HasUnitRange(name) || (metric.value >= 0 && metric.value <= 1);
  Require(std::isfinite(metric.value) && in_range, path, "{} is {}", name, metric.value);
  Require(metric.sample_size >= 0, path, "sample_size of {} is {}", name, metric.sample_size);
}

void CheckEvaluation(const EvaluationResult& evaluation, const std::filesystem::path& path) {
  const std::string id = EvaluationId(evaluation.run_id, evaluation.samples_seen, evaluation.spec);
  Require(evaluation.eval_id == id && path.stem() == id,
          path,
          "its name, its ids and its content do not belong together");
  Require(IsDuration(evaluation.seconds), path, "seconds is {}", evaluation.seconds);
  Require(!evaluation.metrics.empty(), path, "it has no metrics");
  for (const auto& [name, metric] : evaluation.metrics) CheckMetric(name, metric, path);
}

// The number that is the whole name of a file or folder.
std::optional<int64_t> NumberOf(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 0) return std::nullopt;
  return number;
}

// Nobody makes a million attempts at a run; a trainer that lies may make a folder of any name.
constexpr int64_t kMostAttempts = 1'000'000;

}  // namespace

std::vector<int64_t> RunDirectory::AttemptNumbers() const {
  std::vector<int64_t> numbers;
  for (const auto& path : ListFolder(attempts())) {
    const auto number = NumberOf(path);
    if (number && *number >= 1 && *number <= kMostAttempts && path == attempt(*number))
      numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

int64_t RunDirectory::NextAttempt(int64_t latest) const {
  const std::vector<int64_t> numbers = AttemptNumbers();
  int64_t next = std::max(latest, numbers.empty() ? 0 : numbers.back()) + 1;
  while (IsTaken(attempt(next))) ++next;
  return next;
}

std::vector<CheckpointFolder> RunDirectory::CheckpointFolders() const {
  std::vector<CheckpointFolder> found;
  std::vector<int64_t> numbers = AttemptNumbers();
  std::reverse(numbers.begin(), numbers.end());
  for (const int64_t number : numbers) {
    for (const auto& path : ListFolder(checkpoints(number))) {
      if (const auto samples = NumberOf(path)) found.push_back({*samples, path});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.samples_seen > b.samples_seen;
  });
  return found;
}

std::string CheckpointName(int64_t samples_seen) {
  return fmt::format("{:012}", samples_seen);
}

std::string SpecFileText(const RunSpec& spec) {
  return CanonicalDump(
             Json{{"schema", kRunSchema}, {"run_id", RunId(spec)}, {"spec", ToJson(spec)}}) +
         "\n";
}

RunSpec ReadSpecFile(const RunDirectory& directory) {
  const std::string path = directory.spec().string();
  const Json json = ReadJsonFile(path);
  if (FindText(json, "schema") != kRunSchema || !json.contains("spec"))
    throw Malformed(fmt::format("{}: not a run spec of schema '{}'", path, kRunSchema));
  RunSpec spec = ParseRunSpec(json.at("spec"), path);
  const std::string run_id = FindText(json, "run_id").value_or("absent");
  if (run_id != RunId(spec)) {
    throw Malformed(fmt::format(
        "{}: its run_id is {}, but its content hashes to {}; the file was changed after "
        "it was written",
        path,
        run_id,
        RunId(spec)));
  }
  return spec;
}

AttemptRequest ReadAttemptRequest(const RunDirectory& directory, int64_t attempt) {
  const std::string path = directory.request(attempt).string();
  return FromVersioned<AttemptRequest>(ReadJsonFile(path), path);
}

std::string ResultFileText(const RunResult& result) {
  return SealJson(FieldsToJson(result));
}

std::string EvaluationFileText(const EvaluationResult& evaluation) {
  return SealJson(FieldsToJson(evaluation));
}

std::optional<RunResult> ReadResult(const RunDirectory& directory) {
  const std::filesystem::path path = directory.result();
  if (!IsTaken(path)) return std::nullopt;
  auto result = FromVersioned<RunResult>(ReadSealed(path).document, path.string());
  CheckResult(result, path);
  return result;
}

std::optional<RunResult> ReadResultOf(const RunDirectory& directory,
                                      const std::string& run_id,
                                      int64_t samples_seen) {
  std::optional<RunResult> result = ReadResult(directory);
  if (!result) return result;
  const bool completed = result->outcome == "completed";
  const int64_t seen = result->samples_seen;
  Require(
      result->run_id == run_id, directory.result(), "it is the result of run {}", result->run_id);
  Require(completed ? seen == samples_seen : seen <= samples_seen,
          directory.result(),
          "{} after {} samples, expected {}{}",
          result->outcome,
          seen,
          completed ? "" : "at most ",
          samples_seen);
  return result;
}

void RequireCheckpoint(const RunDirectory& directory, const RunResult& result) {
  std::error_code unknown;
  Require(result.checkpoint.empty() ||
              std::filesystem::is_directory(directory.root() / result.checkpoint, unknown),
          directory.result(),
          "its checkpoint '{}' is not there",
          result.checkpoint);
}

EvaluationResult ReadEvaluationResult(const std::filesystem::path& path) {
  const SealedJson sealed = ReadSealed(path);
  auto evaluation = FromVersioned<EvaluationResult>(sealed.document, path.string());
  CheckEvaluation(evaluation, path);
  evaluation.checked = sealed.checked;
  return evaluation;
}

}  // namespace sweep
