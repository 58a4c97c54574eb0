#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sweep {

/// `clip_train make_shards`: exactly one of table, folder and fashion_scenes is given.
struct MakeShardsOptions {
  std::string table;
  std::string image_column = "filepath";
  std::string caption_column = "title";
  std::string folder;
  std::string fashion_scenes;                                ///< folder of Fashion-MNIST
  std::string content = "d1fd84a877f3b78fa9a171b3de73f93e";  ///< its content id: Debian's package
  int64_t canvas = 28;                                       ///< pixels, of fashion_scenes
  int64_t count = 10'000;                                    ///< pairs, of fashion_scenes
  int64_t per_shard = 10'000;                                ///< pairs
  std::string output;
  int64_t threads = 1;
};

/// `clip_train index_shards`.
struct IndexCommandOptions {
  std::vector<std::string> sources;
  std::string output;
  std::string classes;    ///< file with the name of a class a line
  std::string templates;  ///< file with a prompt a line, {} or {c} for the name
  int64_t threads = 1;
};

/// Each does its work and prints a definition for a sweep file on stdout, what was
/// passed over on stderr. Throw as MakeShards and IndexShards do.
void RunMakeShards(const MakeShardsOptions& options);
void RunIndexShards(const IndexCommandOptions& options);

}  // namespace sweep
