#include "core/run_directory.h"

#include <algorithm>
#include <charconv>

#include "core/files.h"
#include "core/json_fields.h"

namespace sweep {
namespace {

constexpr const char* kRunSchema = "sweep.run/1";

// Every file carries its format's version; a newer one is refused rather than half understood.
template <class File>
File ReadVersioned(const std::filesystem::path& path) {
  const Json json = ReadJsonFile(path.string());
  const std::string expected = File().schema;
  const std::string found =
      json.is_object() ? json.value("schema", std::string("absent")) : "absent";
  if (found != expected) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: schema is '{}', expected '{}'", path.string(), found, expected));
  }
  return FieldsFromJson<File>(json, path.string());
}

// The number that is the whole name of a file or folder.
std::optional<int64_t> NumberOf(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

std::vector<int64_t> RunDirectory::AttemptNumbers() const {
  std::vector<int64_t> numbers;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(attempts(), absent)) {
    if (const auto number = NumberOf(entry.path())) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<CheckpointFolder> RunDirectory::CheckpointFolders() const {
  std::vector<CheckpointFolder> found;
  std::vector<int64_t> numbers = AttemptNumbers();
  std::reverse(numbers.begin(), numbers.end());
  for (const int64_t number : numbers) {
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints(number), absent)) {
      if (const auto samples = NumberOf(entry.path())) found.push_back({*samples, entry.path()});
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
  if (!json.is_object() || json.value("schema", "") != kRunSchema || !json.contains("spec")) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: not a run spec of schema '{}'", path, kRunSchema));
  }
  RunSpec spec = ParseRunSpec(json.at("spec"), path);
  if (json.value("run_id", "") != RunId(spec)) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format(
            "{}: its run_id is {}, but its content hashes to {}; the file was changed after it was "
            "written",
            path,
            json.value("run_id", "absent"),
            RunId(spec)));
  }
  return spec;
}

AttemptRequest ReadAttemptRequest(const RunDirectory& directory, int64_t attempt) {
  return ReadVersioned<AttemptRequest>(directory.request(attempt));
}

EvaluationResult ReadEvaluationResult(const std::filesystem::path& path) {
  return ReadVersioned<EvaluationResult>(path);
}

std::optional<RunResult> ReadResult(const RunDirectory& directory) {
  if (!std::filesystem::exists(directory.result())) return std::nullopt;
  return ReadVersioned<RunResult>(directory.result());
}

}  // namespace sweep
