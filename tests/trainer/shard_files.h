#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/files.h"
#include "trainer/random_access_file.h"
#include "trainer/shard_index.h"

namespace sweep {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

/// A small JPEG.
inline const std::string& PictureFile() {
  static const std::string file =
      ReadFile(fs::path(SWEEP_SOURCE_DIR) / "tests/data/trainer/images/61x38_baseline.jpg");
  return file;
}

/// Captions of one shard, and what was said of it.
inline Texts Captions(const fs::path& shard, Texts* warnings = nullptr) {
  const RandomAccessFile file(shard);
  Texts captions;
  const auto warn = [&](const std::string& text) {
    if (warnings != nullptr) warnings->push_back(text);
  };
  for (const ShardSample& sample : ListSamples(file, warn)) {
    if (sample.text_at != 0)
      captions.push_back(file.Read(static_cast<int64_t>(sample.text_at), sample.text_bytes));
  }
  return captions;
}

}  // namespace sweep
