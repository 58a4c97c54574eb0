#include "trainer/checkpoint_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json_fields.h"
#include "core/printable.h"

namespace sweep {

template <class Visitor>
void VisitFields(Visitor& visit, CheckpointFile& s) {
  visit("size", s.size);
  visit("sha256", s.sha256);
}

template <class Visitor>
void VisitFields(Visitor& visit, CheckpointManifest& s) {
  visit("schema", s.schema);
  visit("run_id", s.run_id);
  visit("samples_seen", s.samples_seen);
  visit("step", s.step);
  visit("threads", s.threads);
  visit("micro_batch", s.micro_batch, 0);
  visit("train_seconds", s.train_seconds);
  visit("stability", s.stability, StabilityState());
  visit("loss_scale", s.loss_scale, LossScale());
  visit("files", s.files);
  visit("sha256", s.sha256, "");
}

namespace {

constexpr const char* kManifest = "manifest.json";
constexpr const char* kTemporaryPrefix = ".writing-";

std::optional<StoredCheckpoint> OpenOrReport(const CheckpointFolder& candidate,
                                             const std::string& run_id,
                                             const CheckpointReport& report,
                                             const CheckpointCheck& check = nullptr) {
  try {
    StoredCheckpoint checkpoint = OpenCheckpoint(candidate.path);
    if (checkpoint.manifest.run_id == run_id) {
      if (check) check(checkpoint);
      return checkpoint;
    }
    report(fmt::format(
        "{}: belongs to run {}", candidate.path.string(), Printable(checkpoint.manifest.run_id)));
  } catch (const Failure& failure) {
    report(failure.what());
  }
  return std::nullopt;
}

std::map<std::string, CheckpointFile> HashFiles(const std::filesystem::path& folder) {
  std::map<std::string, CheckpointFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] = {static_cast<int64_t>(entry.file_size()),
                                               Sha256HexOfFile(entry.path())};
  }
  return files;
}

std::string HashOf(CheckpointManifest manifest) {
  manifest.sha256.clear();
  return Sha256Hex(FieldsToJson(manifest).dump());
}

void CheckFile(const std::filesystem::path& path, const CheckpointFile& expected) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || static_cast<int64_t>(size) != expected.size ||
      Sha256HexOfFile(path) != expected.sha256) {
    throw Failure(FailureCode::kData,
                  fmt::format("{} is damaged: not the {} bytes its manifest describes",
                              path.string(),
                              expected.size));
  }
}

// What a trainer can have written: it goes on with these numbers.
void CheckNumbers(const CheckpointManifest& manifest, const std::string& path) {
  const bool sound = manifest.samples_seen >= 0 && manifest.step >= 0 && manifest.threads >= 1 &&
                     manifest.micro_batch >= 0 && std::isfinite(manifest.train_seconds) &&
                     manifest.train_seconds >= 0;
  if (sound) return;
  throw Failure(
      FailureCode::kData,
      fmt::format("{} is damaged: samples_seen {}, step {}, threads {}, micro_batch {} and "
                  "train_seconds {} are not a checkpoint's",
                  path,
                  manifest.samples_seen,
                  manifest.step,
                  manifest.threads,
                  manifest.micro_batch,
                  manifest.train_seconds));
}

// A folder half deleted must not look like a checkpoint: it loses its name first.
void RemoveFolder(const std::filesystem::path& folder) {
  const auto doomed = folder.parent_path() / (kTemporaryPrefix + folder.filename().string());
  std::error_code ignored;
  std::filesystem::remove_all(doomed, ignored);
  std::filesystem::rename(folder, doomed, ignored);
  std::filesystem::remove_all(doomed, ignored);
}

void RemoveTemporaries(const std::filesystem::path& parent) {
  std::vector<std::filesystem::path> doomed;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(parent, absent)) {
    if (entry.path().filename().string().starts_with(kTemporaryPrefix))
      doomed.push_back(entry.path());
  }
  for (const auto& path : doomed) std::filesystem::remove_all(path, absent);
}

bool IsWhole(const std::filesystem::path& folder) {
  try {
    (void)OpenCheckpoint(folder);
    return true;
  } catch (const Failure&) {
    return false;
  }
}

/// A folder that is removed with its content unless it was renamed: a checkpoint that does not fit
/// on the disk must leave room for the event that says so.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {
    Remove();
    MakeDirectories(path_);
  }
  ~TemporaryFolder() { Remove(); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  void Remove() const {
    std::error_code absent;
    std::filesystem::remove_all(path_, absent);
  }
  std::filesystem::path path_;
};

}  // namespace

std::filesystem::path PublishCheckpoint(
    const std::filesystem::path& parent,
    CheckpointManifest manifest,
    const std::function<void(const std::filesystem::path&)>& write_files) {
  const std::string name = CheckpointName(manifest.samples_seen);
  const auto folder = parent / name;
  if (std::filesystem::exists(folder)) {
    if (IsWhole(folder)) return folder;
    RemoveFolder(folder);
  }
  const TemporaryFolder temporary(parent / (kTemporaryPrefix + name));
  write_files(temporary.path());
  manifest.files = HashFiles(temporary.path());
  manifest.sha256 = HashOf(manifest);
  WriteFileAtomic(temporary.path() / kManifest, FieldsToJson(manifest).dump(2) + "\n");
  SyncDirectory(temporary.path());
  RenameFile(temporary.path(), folder);
  SyncDirectory(parent);
  return folder;
}

StoredCheckpoint OpenCheckpoint(const std::filesystem::path& folder) {
  const std::string path = (folder / kManifest).string();
  StoredCheckpoint checkpoint{folder, {}};
  try {
    checkpoint.manifest = FieldsFromJson<CheckpointManifest>(ReadJsonFile(path), path);
  } catch (const Failure& failure) {
    throw Failure(FailureCode::kData, failure.what());
  }
  if (checkpoint.manifest.schema != CheckpointManifest().schema) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: schema is '{}', expected '{}'",
                              path,
                              checkpoint.manifest.schema,
                              CheckpointManifest().schema));
  }
  const std::string& expected = checkpoint.manifest.sha256;
  if (!expected.empty() && HashOf(checkpoint.manifest) != expected)
    throw Failure(FailureCode::kData, fmt::format("{} is damaged: not what its hash says", path));
  CheckNumbers(checkpoint.manifest, path);
  for (const auto& [name, file] : checkpoint.manifest.files) CheckFile(folder / name, file);
  return checkpoint;
}

std::optional<StoredCheckpoint> NewestCheckpoint(const RunDirectory& directory,
                                                 const std::string& run_id,
                                                 const CheckpointReport& report,
                                                 const CheckpointCheck& check) {
  for (const CheckpointFolder& candidate : directory.CheckpointFolders()) {
    if (auto checkpoint = OpenOrReport(candidate, run_id, report, check)) return checkpoint;
  }
  return std::nullopt;
}

std::optional<StoredCheckpoint> CheckpointAt(const RunDirectory& directory,
                                             const std::string& run_id,
                                             int64_t samples_seen,
                                             const CheckpointReport& report) {
  for (const CheckpointFolder& candidate : directory.CheckpointFolders()) {
    if (candidate.samples_seen != samples_seen) continue;
    if (auto checkpoint = OpenOrReport(candidate, run_id, report)) return checkpoint;
  }
  return std::nullopt;
}

void RemoveCheckpointsAfter(const RunDirectory& directory, int64_t samples_seen) {
  for (const CheckpointFolder& candidate : directory.CheckpointFolders()) {
    if (candidate.samples_seen > samples_seen) RemoveFolder(candidate.path);
  }
}

void PruneCheckpoints(const RunDirectory& directory, const std::set<int64_t>& keep) {
  std::set<int64_t> newest;
  for (const CheckpointFolder& candidate : directory.CheckpointFolders()) {
    if (newest.size() < kNewestCheckpointsKept) newest.insert(candidate.samples_seen);
    if (!newest.contains(candidate.samples_seen) && !keep.contains(candidate.samples_seen))
      RemoveFolder(candidate.path);
  }
  for (const int64_t attempt : directory.AttemptNumbers())
    RemoveTemporaries(directory.checkpoints(attempt));
}

}  // namespace sweep
