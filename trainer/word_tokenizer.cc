#include "trainer/word_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/failure.h"

namespace sweep {
namespace {

// Lower-case form of a byte that belongs to a word, 0 for one that separates words.
constexpr std::array<char, 256> kWordBytes = [] {
  std::array<char, 256> table{};
  for (int c = 'a'; c <= 'z'; ++c) {
    table[static_cast<size_t>(c)] = static_cast<char>(c);
    table[static_cast<size_t>(c - 'a' + 'A')] = static_cast<char>(c);
  }
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = static_cast<char>(c);
  table['-'] = '-';
  return table;
}();

}  // namespace

WordTokenizer::WordTokenizer(const std::vector<std::string>& words, const std::string& origin)
    : size_(static_cast<int64_t>(words.size())) {
  const size_t n = words.size();
  if (n < 4 || words[0] != "<pad>" || words[kUnknown] != "<unknown>" || words[n - 2] != "<start>" ||
      words[n - 1] != "<end>") {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: words must begin with <pad>, <unknown> and end with <start>, "
                              "<end>",
                              origin));
  }
  for (size_t id = 0; id < n; ++id) {
    if (!ids_.emplace(words[id], static_cast<int64_t>(id)).second)
      throw Failure(FailureCode::kData, fmt::format("{}: '{}' is there twice", origin, words[id]));
  }
}

int64_t WordTokenizer::Encode(std::string_view text, std::span<int64_t> tokens) const {
  const int64_t end = size_ - 1;
  size_t length = 0;
  tokens[length++] = size_ - 2;
  std::string word;
  for (size_t at = 0; at <= text.size() && length < tokens.size(); ++at) {
    const char byte = at < text.size() ? kWordBytes[static_cast<uint8_t>(text[at])] : '\0';
    if (byte != '\0') {
      word += byte;
    } else if (!word.empty()) {
      const auto id = ids_.find(word);
      tokens[length++] = id == ids_.end() ? kUnknown : id->second;
      word.clear();
    }
  }
  if (length == tokens.size()) --length;
  tokens[length++] = end;
  std::fill(tokens.begin() + static_cast<std::ptrdiff_t>(length), tokens.end(), 0);
  return static_cast<int64_t>(length);
}

}  // namespace sweep
