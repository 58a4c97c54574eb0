#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sweep {

/// A published count with its source, as `laion:34B` = 407332084 × 84.
struct NamedCount {
  int64_t value = 0;
  std::string source;
};
using NamedCounts = std::map<std::string, NamedCount, std::less<>>;

/// What a number written for people means, without rounding: `12.8B` is 12,800,000,000.
struct Quantity {
  double value = 0;                ///< the nearest double
  std::optional<int64_t> integer;  ///< the same, when it is a whole number of 64 bits
};

/// Reads one number, or several joined by `*` or `×`: "131072", "1.5e9", "407M", "84 * 407332084".
/// Each may end in k (10³), M (10⁶), B (10⁹) or T (10¹²), or be a name of `named`. Exact: the
/// digits are kept as written, and "0.1" is the double that JSON's 0.1 is. Nothing when the text is
/// none of this, or its whole-number product does not fit in 64 bits.
[[nodiscard]] std::optional<Quantity> ParseQuantity(std::string_view text,
                                                    const NamedCounts& named = {});

/// Seconds of "90s", "30min", "2h", "1.5d" or a plain number of seconds.
[[nodiscard]] std::optional<double> ParseDurationSeconds(std::string_view text);

}  // namespace sweep
