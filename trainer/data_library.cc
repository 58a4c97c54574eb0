#include "trainer/data_library.h"

#include <fmt/format.h>

#include "core/failure.h"

namespace sweep {

DataLibrary::DataLibrary(std::map<std::string, std::string> locations, int64_t threads)
    : locations_(std::move(locations)), threads_(threads) {}

std::string DataLibrary::Locate(const std::string& content, const std::string& what) const {
  const auto found = locations_.find(content);
  if (found == locations_.end()) {
    throw Failure(FailureCode::kData,
                  fmt::format("attempt.json: no location for {} (content {})", what, content));
  }
  return found->second;
}

std::shared_ptr<const FashionMnist> DataLibrary::OpenFashionMnist(const std::string& content) {
  auto& data = fashion_mnist_[content];
  if (!data) {
    data = std::make_shared<const FashionMnist>(
        LoadFashionMnist(Locate(content, "Fashion-MNIST"), content));
  }
  return data;
}

std::shared_ptr<const ShardSet> DataLibrary::OpenShards(const std::string& content) {
  auto& set = shards_[content];
  if (!set) set = std::make_shared<const ShardSet>(Locate(content, "the shards' index"), content);
  return set;
}

std::unique_ptr<Tokenizer> DataLibrary::OpenTokenizer(const TokenizerSpec& spec,
                                                      const TextSpec& text) const {
  auto tokenizer = LoadTokenizer(spec, Locate(spec.vocabulary, "the vocabulary"));
  if (tokenizer->size() > text.vocab_size) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("model.text.vocab_size is {}, expected at least the vocabulary's {}",
                              text.vocab_size,
                              tokenizer->size()));
  }
  return tokenizer;
}

}  // namespace sweep
