#include "orchestrator/sweep_file/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace sweep {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// A decimal number kept exactly: digits × 10^exponent.
struct Decimal {
  bool negative = false;
  std::string digits;
  int exponent = 0;
};

bool IsDigit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// Moves `text` past the digits it begins with.
std::string TakeDigits(std::string_view& text) {
  std::string digits;
  while (!text.empty() && IsDigit(text.front())) {
    digits += text.front();
    text.remove_prefix(1);
  }
  return digits;
}

bool TakeOne(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int> TakeExponent(std::string_view& text) {
  const bool negative = text.starts_with('-');
  (void)TakeOne(text, "+-");
  const std::string digits = TakeDigits(text);
  constexpr size_t kMostDigits = 4;  // a double ends near 10^308
  if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
  return (negative ? -1 : 1) * std::stoi(digits);
}

// Reads the number that `text` begins with and leaves the rest in it.
std::optional<Decimal> TakeDecimal(std::string_view& text) {
  constexpr size_t kMostDigits = 400;
  Decimal decimal;
  decimal.negative = text.starts_with('-');
  (void)TakeOne(text, "+-");
  decimal.digits = TakeDigits(text);
  if (TakeOne(text, ".")) {
    const std::string fraction = TakeDigits(text);
    decimal.digits += fraction;
    decimal.exponent = -static_cast<int>(fraction.size());
  }
  if (decimal.digits.empty() || decimal.digits.size() > kMostDigits) return std::nullopt;
  if (TakeOne(text, "eE")) {
    const auto exponent = TakeExponent(text);
    if (!exponent) return std::nullopt;
    decimal.exponent += *exponent;
  }
  return decimal;
}

std::optional<int64_t> ToInteger(const Decimal& decimal) {
  std::string digits =
      decimal.digits.substr(std::min(decimal.digits.find_first_not_of('0'), decimal.digits.size()));
  if (digits.empty()) return 0;
  int exponent = decimal.exponent;
  for (; exponent < 0 && digits.back() == '0'; ++exponent) digits.pop_back();
  constexpr size_t kMostDigits = 19;
  if (exponent < 0 || digits.size() + static_cast<size_t>(exponent) > kMostDigits) {
    return std::nullopt;
  }
  digits.append(static_cast<size_t>(exponent), '0');
  if (decimal.negative) digits.insert(0, 1, '-');
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<Quantity> ToQuantity(const Decimal& decimal) {
  const std::string text =
      fmt::format("{}{}e{}", decimal.negative ? "-" : "", decimal.digits, decimal.exponent);
  Quantity quantity;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity.value);
  if (error != std::errc()) return std::nullopt;
  quantity.integer = ToInteger(decimal);
  return quantity;
}

std::optional<Quantity> ParseFactor(std::string_view text, const NamedCounts& named) {
  if (const auto found = named.find(text); found != named.end()) {
    return Quantity{static_cast<double>(found->second.value), found->second.value};
  }
  constexpr std::array<std::pair<char, int>, 4> kSuffixes = {
      {{'k', 3}, {'M', 6}, {'B', 9}, {'T', 12}}};
  auto decimal = TakeDecimal(text);
  if (!decimal) return std::nullopt;
  for (const auto& [suffix, exponent] : kSuffixes) {
    if (text.size() != 1 || text.front() != suffix) continue;
    decimal->exponent += exponent;
    text.remove_prefix(1);
  }
  return text.empty() ? ToQuantity(*decimal) : std::nullopt;
}

std::optional<Quantity> Product(const Quantity& a, const Quantity& b) {
  Quantity product{a.value * b.value, std::nullopt};
  if (a.integer && b.integer) {
    int64_t value = 0;
    if (__builtin_mul_overflow(*a.integer, *b.integer, &value)) return std::nullopt;
    product = {static_cast<double>(value), value};
  }
  return product;
}

}  // namespace

std::optional<Quantity> ParseQuantity(std::string_view text, const NamedCounts& named) {
  constexpr size_t kMostCharacters = 1000;
  if (text.size() > kMostCharacters) return std::nullopt;
  constexpr std::array<std::string_view, 2> kTimes = {"*", "×"};
  for (const std::string_view times : kTimes) {
    const size_t at = text.find(times);
    if (at == std::string_view::npos) continue;
    const auto left = ParseQuantity(text.substr(0, at), named);
    const auto right = ParseQuantity(text.substr(at + times.size()), named);
    return left && right ? Product(*left, *right) : std::nullopt;
  }
  return ParseFactor(Trimmed(text), named);
}

std::optional<double> ParseDurationSeconds(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 5> kUnits = {
      {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}};
  text = Trimmed(text);
  const auto decimal = TakeDecimal(text);
  if (!decimal) return std::nullopt;
  for (const auto& [unit, seconds] : kUnits) {
    if (Trimmed(text) != unit) continue;
    const auto quantity = ToQuantity(*decimal);
    return quantity ? std::optional(quantity->value * seconds) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sweep
