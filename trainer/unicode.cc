#include "trainer/unicode.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <span>

namespace sweep {
namespace {

struct Range {
  char32_t first, last;
};
// Characters first, first + step, … last, whose lower case is `distance` further on.
struct LowerRun {
  char32_t first, last, step;
  int32_t distance;
};

#include "trainer/unicode_tables.inc"

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kCapitalDottedI = 0x130, kDotAbove = 0x307;
constexpr char32_t kCapitalSigma = 0x3A3, kSigma = 0x3C3, kFinalSigma = 0x3C2;

// The run that `c` lies in, or nullptr.
template <class Run>
const Run* Find(std::span<const Run> runs, char32_t c) {
  const auto after =
      std::upper_bound(runs.begin(), runs.end(), c, [](char32_t value, const Run& run) {
        return value < run.first;
      });
  if (after == runs.begin()) return nullptr;
  const Run& run = *std::prev(after);
  return c <= run.last ? &run : nullptr;
}

bool Contains(std::span<const Range> ranges, char32_t c) {
  return Find(ranges, c) != nullptr;
}

char32_t LowerOne(char32_t c) {
  const LowerRun* run = Find(std::span<const LowerRun>(kLowerRuns), c);
  if (run == nullptr || (c - run->first) % run->step != 0) return c;
  return static_cast<char32_t>(static_cast<int32_t>(c) + run->distance);
}

// Unicode's condition Final_Sigma: a cased character before, none after, ignorable ones skipped.
bool IsFinalSigma(std::u32string_view text, size_t at) {
  size_t before = at;
  while (before > 0 && Contains(kCaseIgnorable, text[before - 1])) --before;
  if (before == 0 || !Contains(kCased, text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && Contains(kCaseIgnorable, text[after])) ++after;
  return after == text.size() || !Contains(kCased, text[after]);
}

// Bytes of the character that `lead` begins, 0 where it can begin none.
size_t SequenceLength(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

bool IsScalar(char32_t c, size_t length) {
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  return c >= kLeast[length] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
}

}  // namespace

std::u32string DecodeUtf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const auto lead = static_cast<uint8_t>(bytes[at]);
    const size_t length = SequenceLength(lead);
    bool valid = length > 0 && at + length <= bytes.size();
    char32_t c = length <= 1 ? lead : lead & (0x7FU >> length);
    for (size_t i = 1; valid && i < length; ++i) {
      const auto byte = static_cast<uint8_t>(bytes[at + i]);
      valid = (byte & 0xC0U) == 0x80;
      c = (c << 6U) | (byte & 0x3FU);
    }
    valid = valid && IsScalar(c, length);
    text += valid ? c : kReplacement;
    at += valid ? length : 1;
  }
  return text;
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  const auto add = [&bytes](char32_t value) { bytes += static_cast<char>(value); };
  for (char32_t c : text) {
    if (c >= 0xD800 && c <= 0xDFFF) c = kReplacement;
    if (c < 0x80) {
      add(c);
    } else if (c < 0x800) {
      add(0xC0U | (c >> 6U));
      add(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
      add(0xE0U | (c >> 12U));
      add(0x80U | ((c >> 6U) & 0x3FU));
      add(0x80U | (c & 0x3FU));
    } else {
      add(0xF0U | (c >> 18U));
      add(0x80U | ((c >> 12U) & 0x3FU));
      add(0x80U | ((c >> 6U) & 0x3FU));
      add(0x80U | (c & 0x3FU));
    }
  }
  return bytes;
}

bool IsLetter(char32_t c) {
  return Contains(kLetters, c);
}

bool IsNumber(char32_t c) {
  return Contains(kNumbers, c);
}

bool IsSpace(char32_t c) {
  return Contains(kSpaces, c);
}

std::u32string ToLower(std::u32string_view text) {
  std::u32string lower;
  lower.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == kCapitalSigma) {
      lower += IsFinalSigma(text, i) ? kFinalSigma : kSigma;
    } else if (text[i] == kCapitalDottedI) {
      lower += {U'i', kDotAbove};
    } else {
      lower += LowerOne(text[i]);
    }
  }
  return lower;
}

}  // namespace sweep
