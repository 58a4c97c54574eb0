#include "trainer/clip_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/failure.h"
#include "trainer/html_unescape.h"
#include "trainer/random.h"
#include "trainer/unicode.h"

namespace sweep {
namespace {

constexpr int32_t kEndOfWord = 256;  // id of a byte at the end of a word, less that of the byte
constexpr const char* kEndOfWordMark = "</w>";
constexpr std::u32string_view kStartText = U"<start_of_text>";
constexpr std::u32string_view kEndText = U"<end_of_text>";
constexpr std::array<std::u32string_view, 7> kContractions = {
    U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};

// The file writes a byte as the character of that number where Latin-1 has a visible one, and the
// other bytes as the characters from U+0100 on. Ids follow the same order: visible bytes first.
struct ByteSymbol {
  int32_t id = 0;
  char32_t written = 0;
};

constexpr bool IsVisible(size_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<ByteSymbol, 256> kByteSymbols = [] {
  std::array<ByteSymbol, 256> symbols{};
  int32_t id = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (IsVisible(byte)) symbols[byte] = {id++, static_cast<char32_t>(byte)};
  }
  char32_t written = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (!IsVisible(byte)) symbols[byte] = {id++, written++};
  }
  return symbols;
}();

std::unordered_map<std::string, int32_t> ByteSymbolIds() {
  std::unordered_map<std::string, int32_t> ids;
  for (const ByteSymbol& symbol : kByteSymbols) {
    const std::string written = EncodeUtf8(std::u32string_view(&symbol.written, 1));
    ids[written] = symbol.id;
    ids[written + kEndOfWordMark] = symbol.id + kEndOfWord;
  }
  return ids;
}

std::u32string CollapseSpace(std::u32string_view text) {
  std::u32string collapsed;
  bool pending = false;
  for (const char32_t c : text) {
    const bool space = IsSpace(c);
    if (!space && pending && !collapsed.empty()) collapsed += U' ';
    if (!space) collapsed += c;
    pending = space;
  }
  return collapsed;
}

std::u32string Clean(std::string_view text) {
  return ToLower(CollapseSpace(UnescapeHtml(UnescapeHtml(DecodeUtf8(text)))));
}

// The marks are matched without regard to case, and the long s is the one character beyond ASCII
// whose case folds into it.
bool BeginsWith(std::u32string_view text, std::u32string_view mark) {
  constexpr char32_t kLongS = 0x17F;
  return text.size() >= mark.size() &&
         std::equal(mark.begin(), mark.end(), text.begin(), [](char32_t a, char32_t b) {
           return a == b || (a == U's' && b == kLongS);
         });
}

template <class Belongs>
size_t RunLength(std::u32string_view text, Belongs belongs) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), belongs) - text.begin());
}

// What separates pieces and has no ids: the space that is left of all white space and, an oddity of
// the regular expression that open_clip uses, U+0345, whose upper case is a letter and itself none.
bool IsSeparator(char32_t c) {
  constexpr char32_t kYpogegrammeni = 0x345;
  return c == U' ' || c == kYpogegrammeni;
}

bool IsOther(char32_t c) {
  return !IsSeparator(c) && !IsLetter(c) && !IsNumber(c);
}

// Length of the piece that cleaned text begins with: a mark, a contraction's ending, a run of
// letters, one digit, or a run of anything else but spaces.
size_t PieceLength(std::u32string_view text) {
  for (const auto mark : {kStartText, kEndText}) {
    if (BeginsWith(text, mark)) return mark.size();
  }
  for (const auto ending : kContractions) {
    if (BeginsWith(text, ending)) return ending.size();
  }
  if (IsLetter(text[0])) return RunLength(text, IsLetter);
  if (IsNumber(text[0])) return 1;
  return RunLength(text, IsOther);
}

}  // namespace

size_t ClipBpe::PairHash::operator()(const Pair& pair) const {
  return MixBits((static_cast<uint64_t>(pair.first) << 32U) | static_cast<uint64_t>(pair.second));
}

// A merge that is there twice has the later one's rank, and a symbol made by two merges the later
// one's id, as in open_clip.
ClipBpe::ClipBpe(const std::vector<BytePairMerge>& merges, const std::string& origin) {
  auto ids = ByteSymbolIds();
  for (size_t rank = 0; rank < merges.size(); ++rank)
    ids[merges[rank].left + merges[rank].right] = static_cast<int32_t>(kClipByteIds + rank);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    if (!ids.contains(left) || !ids.contains(right)) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: merge {} joins '{}' and '{}', which are not both symbols",
                                origin,
                                rank + 1,
                                left,
                                right));
    }
    joins_[{ids[left], ids[right]}] = {static_cast<int32_t>(rank), ids[left + right]};
  }
  start_ = static_cast<int32_t>(kClipByteIds + merges.size());
  end_ = start_ + 1;
}

int64_t ClipBpe::Encode(std::string_view text, std::span<int64_t> tokens) const {
  const std::u32string cleaned = Clean(text);
  std::u32string_view rest = cleaned;
  size_t length = 0;
  tokens[length++] = start_;
  while (!rest.empty() && length < tokens.size()) {
    const bool separator = IsSeparator(rest[0]);
    const size_t piece = separator ? 1 : PieceLength(rest);
    if (!separator) {
      for (const int32_t id : EncodePiece(rest.substr(0, piece))) {
        if (length < tokens.size()) tokens[length++] = id;
      }
    }
    rest.remove_prefix(piece);
  }
  if (length == tokens.size()) --length;
  tokens[length++] = end_;
  std::fill(tokens.begin() + static_cast<std::ptrdiff_t>(length), tokens.end(), 0);
  return static_cast<int64_t>(length);
}

// Joins every occurrence of the earliest merge among the neighbours, until none is left.
std::vector<int32_t> ClipBpe::EncodePiece(std::u32string_view piece) const {
  if (piece == kStartText) return {start_};
  if (piece == kEndText) return {end_};
  std::vector<int32_t> symbols;
  for (const char byte : EncodeUtf8(piece))
    symbols.push_back(kByteSymbols[static_cast<uint8_t>(byte)].id);
  symbols.back() += kEndOfWord;
  while (const Joined* join = FirstJoin(symbols)) {
    size_t kept = 0;
    for (size_t i = 0; i < symbols.size(); ++i, ++kept) {
      const auto found =
          i + 1 < symbols.size() ? joins_.find({symbols[i], symbols[i + 1]}) : joins_.end();
      const bool joins = found != joins_.end() && found->second.rank == join->rank;
      symbols[kept] = joins ? join->id : symbols[i];
      if (joins) ++i;
    }
    symbols.resize(kept);
  }
  return symbols;
}

const ClipBpe::Joined* ClipBpe::FirstJoin(const std::vector<int32_t>& symbols) const {
  const Joined* first = nullptr;
  for (size_t i = 0; i + 1 < symbols.size(); ++i) {
    const auto found = joins_.find({symbols[i], symbols[i + 1]});
    if (found != joins_.end() && (first == nullptr || found->second.rank < first->rank))
      first = &found->second;
  }
  return first;
}

}  // namespace sweep
