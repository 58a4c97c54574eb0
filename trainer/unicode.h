#pragma once

#include <string>
#include <string_view>

namespace sweep {

/// Unicode text as captions need it, by tables of this program's own (scripts/make-text-tables):
/// what a character is must not depend on the machine a run goes on.

/// Code points of UTF-8 text; every byte that is not part of valid UTF-8 becomes U+FFFD.
[[nodiscard]] std::u32string DecodeUtf8(std::string_view bytes);
/// Surrogates become U+FFFD.
[[nodiscard]] std::string EncodeUtf8(std::u32string_view text);

[[nodiscard]] bool IsLetter(char32_t c);  ///< general category L
[[nodiscard]] bool IsNumber(char32_t c);  ///< general category N
[[nodiscard]] bool IsSpace(char32_t c);   ///< white space and the separators U+001C to U+001F

/// Lower case by Unicode's full mapping: U+0130 becomes two characters, and a capital sigma the
/// final one at the end of a word.
[[nodiscard]] std::u32string ToLower(std::u32string_view text);

}  // namespace sweep
