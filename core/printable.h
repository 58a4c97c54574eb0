#pragma once

#include <string>
#include <string_view>

namespace sweep {

/// A trainer's words as they may be kept and shown on a terminal: control characters but line
/// breaks and tabs become spaces, bytes that are no UTF-8 question marks, and what is longer than
/// `most_bytes` ends in "…".
[[nodiscard]] std::string Printable(std::string_view text, size_t most_bytes = 4000);

}  // namespace sweep
