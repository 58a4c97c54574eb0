#include "core/json.h"

#include <fmt/format.h>

#include <cmath>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

Json WithIntegralNumbersAsIntegers(const Json& value) {
  if (value.is_object()) {
    Json out = Json::object();
    for (const auto& [key, member] : value.items())
      out[key] = WithIntegralNumbersAsIntegers(member);
    return out;
  }
  if (value.is_array()) {
    Json out = Json::array();
    for (const Json& element : value) out.push_back(WithIntegralNumbersAsIntegers(element));
    return out;
  }
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    constexpr double kExactlyRepresentable = 9007199254740992.0;  // 2^53
    if (std::abs(number) <= kExactlyRepresentable && number == std::trunc(number)) {
      return Json(static_cast<int64_t>(number));
    }
  }
  return value;
}

}  // namespace

std::string CanonicalDump(const Json& value) {
  return WithIntegralNumbersAsIntegers(value).dump();
}

Json ParseJson(std::string_view text, const std::string& origin) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw Failure(FailureCode::kUsage, fmt::format("{}: not valid JSON: {}", origin, error.what()));
  }
}

Json ReadJsonFile(const std::string& path) {
  return ParseJson(ReadFile(path), path);
}

}  // namespace sweep
