#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>

namespace sweep {

/// Ranks English words by what a picture shows: nouns, then adjectives, then verbs, then the rest
/// (CLIPA's syntax masking: Li et al. 2023). The list names adjectives, verbs and other words; a
/// word that is not on it is told by its ending, else taken for a noun, as most words are that a
/// caption is about. An approximation of a tagger, which needs neither a model nor the sentence.
class PartsOfSpeech {
 public:
  /// Reads the list at `path`, which must have the content id `content`. Throws Failure(kData).
  PartsOfSpeech(const std::filesystem::path& path, const std::string& content);

  /// The `most` words of `text` that rank first, in their order in the text; all of them where
  /// there are no more.
  [[nodiscard]] std::string Shorten(const std::string& text, size_t most) const;

  /// 1 noun, 2 adjective, 3 verb, 4 other. `word` in lower case.
  [[nodiscard]] int Rank(const std::string& word) const;

 private:
  std::unordered_map<std::string, int> ranks_;
};

}  // namespace sweep
