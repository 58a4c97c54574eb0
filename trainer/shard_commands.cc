#include "trainer/shard_commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <sstream>

#include "core/data_options.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "trainer/make_shards.h"
#include "trainer/shard_index.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

void Warn(const std::string& text) {
  std::fprintf(stderr, "clip_train: %s\n", text.c_str());
}

PairList PairsFor(const MakeShardsOptions& options) {
  if (!options.table.empty())
    return PairsOfTable(options.table, options.image_column, options.caption_column);
  if (!options.folder.empty()) return PairsOfFolder(options.folder);
  return PairsOfFashionScenes(
      options.fashion_scenes, options.content, options.canvas, options.count);
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream in(ReadNamedFile(path));
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

// Published lists of prompts write {c} where ours have {}.
std::vector<std::string> TemplatesOf(const std::string& path) {
  std::vector<std::string> templates = LinesOf(path);
  for (std::string& text : templates) {
    if (const size_t at = text.find("{c}"); at != text.npos) text.erase(at + 1, 1);
  }
  return templates;
}

// What a sweep file says of the set: a data set, or, where classes have names, an evaluation.
void PrintDefinition(const ShardIndex& index, const fs::path& folder) {
  Json definition = {{"kind", kWebdataset},
                     {"content", ContentIdOf(index)},
                     {"location", fs::absolute(folder).lexically_normal().string()},
                     {"size", index.samples}};
  if (index.classes.empty()) {
    definition["tokenizer"] = {{"kind", "clip_bpe"}, {"file", "bpe_simple_vocab_16e6.txt.gz"}};
  } else {
    definition["task"] = "zeroshot_classification";
  }
  Print("{}\n", definition.dump(2));
}

}  // namespace

void RunMakeShards(const MakeShardsOptions& options) {
  const fs::path folder = options.output;
  const PairList pairs = PairsFor(options);
  MakeShards(pairs, options.per_shard, folder, options.threads, Warn);
  const int64_t shards = (pairs.count + options.per_shard - 1) / options.per_shard;
  const fs::path index = folder / "index";
  if (fs::exists(index)) return Warn(index.string() + " is there already");
  const std::string pattern = (folder / fmt::format("{{00000..{:05}}}.tar", shards - 1)).string();
  PrintDefinition(IndexShards({{pattern}, index, {}, {}, options.threads}, Warn), index);
}

void RunIndexShards(const IndexCommandOptions& options) {
  IndexShardsOptions work{options.sources, options.output, {}, {}, options.threads};
  if (!options.classes.empty()) {
    work.classes = LinesOf(options.classes);
    work.templates = TemplatesOf(options.templates);
    CheckTemplates(work.templates, options.templates);
  }
  PrintDefinition(IndexShards(work, Warn), options.output);
}

}  // namespace sweep
