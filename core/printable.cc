#include "core/printable.h"

namespace sweep {
namespace {

bool ContinuesCharacter(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') || c == '\x7f';
}

}  // namespace

std::string Printable(std::string_view text, size_t most_bytes) {
  size_t size = text.size();
  if (size > most_bytes) {
    size = most_bytes;
    while (size > 0 && ContinuesCharacter(text[size])) --size;
  }
  std::string shown(text.substr(0, size));
  for (char& c : shown) {
    if (IsControl(c)) c = ' ';
  }
  if (size < text.size()) shown += "…";
  return shown;
}

}  // namespace sweep
