#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/tar.h"

namespace sweep {

/// The most bytes of an image file and of a caption: larger ones are left out by name. Decoded
/// images are bounded by their pixels (DecodeImage).
inline constexpr int64_t kMostImageBytes = int64_t{256} << 20;
inline constexpr int64_t kMostCaptionBytes = int64_t{1} << 20;

/// Files of an index folder.
inline constexpr const char* kShardIndexFile = "index.json";
inline constexpr const char* kShardSamplesFile = "samples.bin";

/// Where one sample lies in its shard. On disk as it is in memory, little-endian.
struct ShardSample {
  uint64_t image_at = 0;
  uint64_t text_at = 0;  ///< 0: no caption (a member never begins at 0)
  uint32_t image_bytes = 0;
  uint32_t text_bytes = 0;
  int32_t label = -1;  ///< of its `cls` member; -1: none
  uint32_t unused = 0;
};
static_assert(sizeof(ShardSample) == 32);

struct Shard {
  std::string path;  ///< relative to the index's folder
  int64_t bytes = 0;
  std::string sha256;  ///< of the whole file
  int64_t samples = 0;
};

/// Shards that are weighted together.
struct ShardSource {
  std::vector<Shard> shards;
};

/// What an index folder's JSON file says; the other file has every ShardSample, shard after shard.
struct ShardIndex {
  std::string schema = "sweep.shards/1";
  std::vector<ShardSource> sources;
  int64_t samples = 0;                 ///< with an image and a caption or a label
  int64_t captions = 0;                ///< of them, with a caption
  int64_t labels = 0;                  ///< of them, with a label
  std::vector<std::string> classes;    ///< names, by label; none: no classification set
  std::vector<std::string> templates;  ///< prompts, {} for the name
};

template <class Visitor>
void VisitFields(Visitor& visit, Shard& s) {
  visit("path", s.path);
  visit("bytes", s.bytes);
  visit("sha256", s.sha256);
  visit("samples", s.samples);
}

template <class Visitor>
void VisitFields(Visitor& visit, ShardSource& s) {
  visit("shards", s.shards);
}

template <class Visitor>
void VisitFields(Visitor& visit, ShardIndex& s) {
  visit("schema", s.schema);
  visit("sources", s.sources);
  visit("samples", s.samples);
  visit("captions", s.captions);
  visit("labels", s.labels);
  visit("classes", s.classes, std::vector<std::string>());
  visit("templates", s.templates, std::vector<std::string>());
}

/// Identity of a set of shards: the content id of the list of its sources, each the list of its
/// shards' SHA-256, with the classes and templates if there are any. Neither names nor places of
/// files play a part.
[[nodiscard]] std::string ContentIdOf(const ShardIndex& index);

/// jpg, jpeg, png or webp.
[[nodiscard]] bool IsImageExtension(std::string_view extension);

/// "a{0..2}{x,y}" to "a0x", "a0y", "a1x", …, as shells do; numbers keep their leading zeros. Other
/// braces stay as they are.
[[nodiscard]] std::vector<std::string> ExpandBraces(const std::string& pattern);

/// The samples of one shard, in its order. Members belong to one sample while their names agree up
/// to the first dot of the last part; the rest of the name says what they are: jpg, jpeg, png or
/// webp; txt; cls. `warn` gets what was passed over.
[[nodiscard]] std::vector<ShardSample> ListSamples(
    const RandomAccessFile& shard, const std::function<void(const std::string&)>& warn);

struct IndexShardsOptions {
  std::vector<std::string> sources;  ///< patterns of shards; several of one source joined by "::"
  std::filesystem::path output;      ///< the index folder to make
  std::vector<std::string> classes;  ///< as in ShardIndex
  std::vector<std::string> templates;
  int64_t threads = 1;
};

/// Reads every shard once and publishes its index, which must not be there yet. Throws
/// Failure(kData) for a shard that cannot be read or has no samples.
ShardIndex IndexShards(const IndexShardsOptions& options,
                       const std::function<void(const std::string&)>& warn);

}  // namespace sweep
