#include "trainer/html_unescape.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

namespace sweep {
namespace {

// A name, with its semicolon unless it is one of the old ones, and its one or two characters.
struct Entity {
  std::string_view name;
  char32_t first;
  char32_t second = 0;
};

#include "trainer/html_entities.inc"

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kBeyondUnicode = 0x110000;
constexpr size_t kLongestName = 32;

// What the numbers 128 to 159 stand for; those that Windows-1252 leaves free stand for themselves.
constexpr std::array<char32_t, 32> kWindows1252 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

bool IsDigit(char32_t c) {
  return c >= U'0' && c <= U'9';
}

// The value of a hexadecimal digit, 16 for anything else.
uint32_t HexDigit(char32_t c) {
  if (IsDigit(c)) return c - U'0';
  const char32_t lower = c | 0x20U;
  return lower >= U'a' && lower <= U'f' ? lower - U'a' + 10 : 16;
}

// Characters that are never written, even by number: controls and non-characters.
bool IsForbidden(char32_t c) {
  if (c < 0x20) return c != U'\t' && c != U'\n' && c != U'\f' && c != U'\r';
  return c == 0x7F || (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFEU) == 0xFFFE;
}

void AppendNumbered(char32_t number, std::u32string& out) {
  if (number >= 0x80 && number <= 0x9F) {
    out += kWindows1252[number - 0x80];
  } else if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) {
    out += kReplacement;
  } else if (!IsForbidden(number)) {
    out += number;
  }
}

// Reads a numeric reference at `at`, just after "&#". Returns where it ends, `at` if there is none.
size_t ReadNumbered(std::u32string_view text, size_t at, std::u32string& out) {
  const bool hexadecimal = at < text.size() && (text[at] == U'x' || text[at] == U'X');
  const uint32_t base = hexadecimal ? 16 : 10;
  const size_t begin = hexadecimal ? at + 1 : at;
  size_t end = begin;
  char32_t number = 0;
  for (; end < text.size() && HexDigit(text[end]) < base; ++end)
    number = std::min<char32_t>(number * base + HexDigit(text[end]), kBeyondUnicode);
  if (end == begin) return at;
  AppendNumbered(number, out);
  return end < text.size() && text[end] == U';' ? end + 1 : end;
}

const Entity* FindEntity(std::string_view name) {
  const auto* found = std::lower_bound(
      std::begin(kEntities),
      std::end(kEntities),
      name,
      [](const Entity& entity, std::string_view key) { return entity.name < key; });
  return found != std::end(kEntities) && found->name == name ? found : nullptr;
}

bool MayBeInName(char32_t c) {
  return std::u32string_view(U"\t\n\f <&#;").find(c) == std::u32string_view::npos;
}

// Reads a named reference at `at`, just after "&". Returns where its name ends, `at` if there is
// none: the longest beginning of what stands there that is a name.
size_t ReadNamed(std::u32string_view text, size_t at, std::u32string& out) {
  std::string name;
  size_t end = at;
  while (end < text.size() && name.size() < kLongestName && MayBeInName(text[end])) {
    name += text[end] < 0x80 ? static_cast<char>(text[end]) : '\xFF';  // in no name
    ++end;
  }
  if (!name.empty() && end < text.size() && text[end] == U';') name += ';';
  for (; name.size() > 1; name.pop_back()) {
    if (const Entity* entity = FindEntity(name)) {
      out += entity->first;
      if (entity->second != 0) out += entity->second;
      return at + name.size();
    }
  }
  return at;
}

}  // namespace

std::u32string UnescapeHtml(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (text[at] != U'&') {
      out += text[at++];
      continue;
    }
    const bool numbered = at + 1 < text.size() && text[at + 1] == U'#';
    const size_t begin = at + (numbered ? 2 : 1);
    const size_t end = numbered ? ReadNumbered(text, begin, out) : ReadNamed(text, begin, out);
    if (end == begin) out += U'&';
    at = end == begin ? at + 1 : end;
  }
  return out;
}

}  // namespace sweep
