#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/expand.h"
#include "orchestrator/sweep_file/sweep_file.h"
#include "tests/support/temporary_directory.h"

namespace sweep {

inline void WriteTextFile(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

/// A data folder with two models, two data sets and two evaluations, and its catalog.
class SmallDataFolder {
 public:
  SmallDataFolder() {
    WriteTextFile(path() / "models/tiny.json", R"({"models": {
      "tiny": {"embed_dim": 32, "vision": {"image_size": 28, "patch_size": 7, "width": 32, "layers": 2,
                          "head_width": 32},
               "text": {"context_length": 16, "vocab_size": 60, "width": 32, "heads": 1, "layers": 2}},
      "small": {"embed_dim": 64, "vision": {"image_size": 28, "patch_size": 7, "width": 64, "layers": 2},
               "text": {"context_length": 16, "vocab_size": 60, "width": 64, "heads": 2, "layers": 2}}},
      "aliases": {"T/7": "tiny"}})");
    const std::string pairs =
        R"({"kind": "fashion_scenes", "content": "c0ffee", "location": "/data/f",
      "install_hint": "install it", "tokenizer": {"kind": "word", "file": "vocabularies/words.json"},
      "options": {}, "size": "1M", "source": "made up"})";
    WriteTextFile(path() / "datasets/scenes.json", pairs);
    WriteTextFile(path() / "vocabularies/words.json",
                  R"({"words": ["a", "b", "<start>", "<end>"]})");
    WriteTextFile(path() / "vocabularies/merges.txt", "# merges\na b\n");
    WriteTextFile(path() / "evaluations/items.json", R"({"task": "zeroshot_classification",
      "kind": "fashion_scenes", "content": "c0ffee", "size": 1000, "options": {}})");
    WriteTextFile(path() / "evaluations/retrieval.json", R"({"task": "zeroshot_retrieval",
      "kind": "fashion_scenes", "content": "c0ffee", "size": 500, "options": {}})");
    WriteTextFile(path() / "sample_counts.json",
                  R"({"counts": {"laion:34B": {"samples": "407332084 * 84", "source": "s"}}})");
    catalog_ = LoadCatalog(path());
  }

  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  [[nodiscard]] const Catalog& catalog() const { return catalog_; }

 private:
  TemporaryDirectory folder_;
  Catalog catalog_;
};

/// Reads and expands a sweep file's text; what was found is in `problems`.
inline ExpandedSweep ExpandText(const std::string& text,
                                const SmallDataFolder& data,
                                ProblemList& problems) {
  const SweepFile file = ParseSweepFile(text, data.path() / "s.json", data.catalog(), problems);
  return problems.has_errors() ? ExpandedSweep{} : Expand(file, problems);
}

/// The same for a text that has to be right; throws with what is wrong with it.
inline ExpandedSweep ExpandText(const std::string& text, const SmallDataFolder& data) {
  ProblemList problems;
  ExpandedSweep sweep = ExpandText(text, data, problems);
  problems.ThrowIfErrors();
  return sweep;
}

}  // namespace sweep
