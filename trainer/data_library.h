#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/run_spec.h"
#include "trainer/fashion_mnist.h"
#include "trainer/shard_set.h"
#include "trainer/tokenizer.h"

namespace sweep {

/// Opens data by content id at the places an attempt names, each once, and verifies it.
class DataLibrary {
 public:
  /// `locations` maps content ids to files or folders of this machine; `threads` may decode images.
  explicit DataLibrary(std::map<std::string, std::string> locations, int64_t threads = 1);

  [[nodiscard]] int64_t threads() const { return threads_; }

  /// The file or folder of `content`. Throws Failure(kData) saying that `what` is not to be found.
  [[nodiscard]] std::string Locate(const std::string& content, const std::string& what) const;

  /// Throws Failure(kData) as LoadFashionMnist does.
  [[nodiscard]] std::shared_ptr<const FashionMnist> OpenFashionMnist(const std::string& content);

  /// Throws Failure(kData) as ShardSet does.
  [[nodiscard]] std::shared_ptr<const ShardSet> OpenShards(const std::string& content);

  /// Throws as LoadTokenizer does, and Failure(kUsage) when the model's vocabulary is too small.
  [[nodiscard]] std::unique_ptr<Tokenizer> OpenTokenizer(const TokenizerSpec& spec,
                                                         const TextSpec& text) const;

 private:
  std::map<std::string, std::string> locations_;
  int64_t threads_;
  std::map<std::string, std::shared_ptr<const FashionMnist>> fashion_mnist_;
  std::map<std::string, std::shared_ptr<const ShardSet>> shards_;
};

}  // namespace sweep
