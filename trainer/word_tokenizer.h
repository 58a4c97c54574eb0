#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "trainer/tokenizer.h"

namespace sweep {

/// One token a word: lower-cased runs of letters, digits and hyphens; anything else separates.
class WordTokenizer : public Tokenizer {
 public:
  /// `words` by id: `<pad>`, `<unknown>`, the words, `<start>`, `<end>`. Throws Failure(kData) when
  /// those four are not in their places or a word appears twice.
  WordTokenizer(const std::vector<std::string>& words, const std::string& origin);

  [[nodiscard]] int64_t Encode(std::string_view text, std::span<int64_t> tokens) const override;
  [[nodiscard]] int64_t size() const override { return size_; }

 private:
  static constexpr int64_t kUnknown = 1;
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> ids_;
  int64_t size_ = 0;
};

}  // namespace sweep
