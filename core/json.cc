#include "core/json.h"

#include <fmt/format.h>

#include <cmath>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

// In place: a sweep's record of many runs is not held twice.
void MakeIntegralNumbersIntegers(Json& value) {
  if (value.is_structured()) {
    for (Json& member : value) MakeIntegralNumbersIntegers(member);
  } else if (value.is_number_float()) {
    const auto number = value.get<double>();
    constexpr double kExactlyRepresentable = 9007199254740992.0;  // 2^53
    if (std::abs(number) <= kExactlyRepresentable && number == std::trunc(number))
      value = static_cast<int64_t>(number);
  }
}

}  // namespace

std::string CanonicalDump(Json value) {
  MakeIntegralNumbersIntegers(value);
  return value.dump();
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
