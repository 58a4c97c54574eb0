#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/vocabulary.h"
#include "trainer/tokenizer.h"

namespace sweep {

/// CLIP's byte-level byte-pair encoding (Sennrich et al. 2016, on UTF-8 bytes). A text is
/// unescaped from HTML twice, its white space collapsed, lower-cased and split into words, numbers
/// and runs of other characters; each piece's bytes are then joined in the order of the merges.
/// Ids: 256 bytes, the same bytes at the end of a word, one a merge, start and end of text. Equal
/// to open_clip's SimpleTokenizer on text that ftfy, which it calls first, leaves as it is.
class ClipBpe : public Tokenizer {
 public:
  /// Throws Failure(kData) naming `origin` when a merge joins symbols that do not exist before it.
  ClipBpe(const std::vector<BytePairMerge>& merges, const std::string& origin);

  [[nodiscard]] int64_t Encode(std::string_view text, std::span<int64_t> tokens) const override;
  [[nodiscard]] int64_t size() const override { return end_ + 1; }

 private:
  struct Joined {
    int32_t rank = 0;
    int32_t id = 0;
  };
  using Pair = std::pair<int32_t, int32_t>;
  struct PairHash {
    size_t operator()(const Pair& pair) const;
  };

  [[nodiscard]] std::vector<int32_t> EncodePiece(std::u32string_view piece) const;
  [[nodiscard]] const Joined* FirstJoin(const std::vector<int32_t>& symbols) const;

  std::unordered_map<Pair, Joined, PairHash> joins_;
  int32_t start_ = 0;
  int32_t end_ = 0;
};

}  // namespace sweep
