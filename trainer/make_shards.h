#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "trainer/data_library.h"

namespace sweep {

/// One pair on its way into a shard.
struct ShardPair {
  std::string extension;  ///< of the image file: jpg, jpeg, png or webp
  std::string image;      ///< the file's bytes
  std::string caption;
  std::string name;  ///< of the image's file; empty: it was made here
};

/// Where make_shards takes pairs from.
struct PairList {
  int64_t count = 0;
  std::string content;                     ///< identity of the list
  std::function<ShardPair(int64_t)> load;  ///< throws Failure(kData) naming the file
};

/// Pairs of a CSV or TSV file with a header: paths of images (absolute or relative to the file) in
/// `image_column` and captions in `caption_column`. Throws Failure(kData) naming file and line.
[[nodiscard]] PairList PairsOfTable(const std::filesystem::path& file,
                                    const std::string& image_column,
                                    const std::string& caption_column);

/// Every image under a folder that has a .txt file of the same name beside it, by name. Throws
/// Failure(kUsage) when there is no such folder, Failure(kData) for an image without a text or when
/// there is none.
[[nodiscard]] PairList PairsOfFolder(const std::filesystem::path& folder);

/// The first `count` pairs of `fashion_scenes` with default options, as PNG.
[[nodiscard]] PairList PairsOfFashionScenes(const std::filesystem::path& location,
                                            const std::string& content,
                                            int64_t canvas,
                                            int64_t count);

/// Writes pairs into `folder`/00000.tar and so on, `per_shard` in each. Every shard appears whole
/// or not at all, and a repeated call makes only those that are missing. Images that cannot be
/// decoded are left out, with a `warn`ing that names them; `threads` look. Throws Failure(kUsage)
/// if the folder holds shards of another list, Failure(kData) when more than MostUnusable, or all
/// of a shard, were left out.
void MakeShards(
    const PairList& pairs,
    int64_t per_shard,
    const std::filesystem::path& folder,
    int64_t threads = 1,
    const std::function<void(const std::string&)>& warn = [](const std::string&) {});

}  // namespace sweep
