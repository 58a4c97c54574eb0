#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/run_directory.h"
#include "trainer/instability.h"
#include "trainer/loss_scale.h"

namespace sweep {

struct CheckpointFile {
  int64_t size = 0;  ///< bytes
  std::string sha256;
};

/// `manifest.json` of a checkpoint folder (docs/run_directory.md): a checkpoint is valid when every
/// file it lists is there with that size and hash.
struct CheckpointManifest {
  std::string schema = "sweep.checkpoint/1";
  std::string run_id;
  int64_t samples_seen = 0;
  int64_t step = 0;
  int64_t threads = 1;       ///< a resumed run keeps them: sums depend on how they are split
  int64_t micro_batch = 0;   ///< likewise
  double train_seconds = 0;  ///< so far, over all attempts
  StabilityState stability;
  LossScale loss_scale;
  std::map<std::string, CheckpointFile> files;
  std::string sha256;  ///< of this manifest without it; empty in those written before it had one
};

struct StoredCheckpoint {
  std::filesystem::path folder;
  CheckpointManifest manifest;
};

/// Writes a checkpoint so that it is there and whole or not at all: `write_files` fills a temporary
/// folder, the manifest with the hashes is added, everything is synced, the folder renamed to
/// `parent`/SAMPLES (twelve digits). Nothing is done when that exists and is whole. Returns its
/// folder; whatever fails, what was written until then is removed.
std::filesystem::path PublishCheckpoint(
    const std::filesystem::path& parent,
    CheckpointManifest manifest,
    const std::function<void(const std::filesystem::path&)>& write_files);

/// Called with a sentence about each checkpoint that was passed over.
using CheckpointReport = std::function<void(const std::string&)>;

/// Throws Failure for a checkpoint whose files are those of its manifest and yet of no use.
using CheckpointCheck = std::function<void(const StoredCheckpoint&)>;

/// Reads one checkpoint folder and checks every file against its manifest, and that against what a
/// trainer can have written. Throws Failure(kData).
[[nodiscard]] StoredCheckpoint OpenCheckpoint(const std::filesystem::path& folder);

/// The newest checkpoint of any attempt of `run_id` that is valid and passes `check`; others are
/// reported and the one before is tried.
[[nodiscard]] std::optional<StoredCheckpoint> NewestCheckpoint(
    const RunDirectory& directory,
    const std::string& run_id,
    const CheckpointReport& report,
    const CheckpointCheck& check = [](const StoredCheckpoint&) {});

/// The valid checkpoint of any attempt after exactly `samples_seen`.
[[nodiscard]] std::optional<StoredCheckpoint> CheckpointAt(const RunDirectory& directory,
                                                           const std::string& run_id,
                                                           int64_t samples_seen,
                                                           const CheckpointReport& report);

/// Removes all checkpoints of the run after `samples_seen`: a rewind leaves their path.
void RemoveCheckpointsAfter(const RunDirectory& directory, int64_t samples_seen);

/// Removes all checkpoints of the run but the newest two and those in `keep`, and what interrupted
/// writes left behind.
void PruneCheckpoints(const RunDirectory& directory, const std::set<int64_t>& keep);

}  // namespace sweep
