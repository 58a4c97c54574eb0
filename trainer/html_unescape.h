#pragma once

#include <string>
#include <string_view>

namespace sweep {

/// Replaces HTML's character references by the characters they stand for, once, as browsers read
/// them: named ones (the longest name that fits, old ones also without their semicolon), decimal
/// and hexadecimal ones, with the numbers 128 to 159 taken for Windows-1252.
/// Source: HTML Living Standard, 13.2.5 and 13.5; names and treatment of wrong numbers are those of
/// Python's html.unescape.
[[nodiscard]] std::u32string UnescapeHtml(std::u32string_view text);

}  // namespace sweep
