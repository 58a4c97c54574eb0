#include "core/printable.h"

#include <algorithm>

namespace sweep {
namespace {

bool ContinuesCharacter(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') || c == '\x7f';
}

// How many bytes the character that begins `text` has; 0 where it is none of UTF-8.
size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  size_t bytes = 1;
  if (first >= 0x80U) {
    if (first < 0xC2U || first > 0xF4U) return 0;
    bytes = first < 0xE0U ? 2 : first < 0xF0U ? 3 : 4;
  }
  if (bytes > text.size()) return 0;
  for (const char c : text.substr(1, bytes - 1)) {
    if (!ContinuesCharacter(c)) return 0;
  }
  return bytes;
}

}  // namespace

std::string Printable(std::string_view text, size_t most_bytes) {
  std::string shown;
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const bool plain = bytes > 0 && !IsControl(text.front());
    if (shown.size() + std::max<size_t>(bytes, 1) > most_bytes) return shown + "…";
    shown += plain ? text.substr(0, bytes) : bytes > 0 ? " " : "?";
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return shown;
}

}  // namespace sweep
