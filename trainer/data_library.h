#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/run_spec.h"
#include "trainer/fashion_mnist.h"
#include "trainer/tokenizer.h"

namespace sweep {

/// Opens data by content id at the places an attempt names, each once, and verifies it.
class DataLibrary {
 public:
  /// `locations` maps content ids to files or folders of this machine.
  explicit DataLibrary(std::map<std::string, std::string> locations);

  /// The file or folder of `content`. Throws Failure(kData) saying that `what` is not to be found.
  [[nodiscard]] std::string Locate(const std::string& content, const std::string& what) const;

  /// Throws Failure(kData) as LoadFashionMnist does.
  [[nodiscard]] std::shared_ptr<const FashionMnist> OpenFashionMnist(const std::string& content);

  /// Throws as LoadTokenizer does, and Failure(kUsage) when the model's vocabulary is too small.
  [[nodiscard]] std::unique_ptr<Tokenizer> OpenTokenizer(const TokenizerSpec& spec,
                                                         const TextSpec& text) const;

 private:
  std::map<std::string, std::string> locations_;
  std::map<std::string, std::shared_ptr<const FashionMnist>> fashion_mnist_;
};

}  // namespace sweep
