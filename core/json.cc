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

template <class Input>
Json Parse(Input&& input, const std::string& origin, const Json::parser_callback_t& keep) {
  try {
    return Json::parse(input, keep);
  } catch (const Json::exception& error) {
    throw Failure(FailureCode::kUsage, fmt::format("{}: not valid JSON: {}", origin, error.what()));
  }
}

}  // namespace

std::string CanonicalDump(Json value) {
  MakeIntegralNumbersIntegers(value);
  return value.dump();
}

Json ParseJson(std::string_view text, const std::string& origin) {
  return Parse(text, origin, nullptr);
}

Json ReadJsonFile(const std::string& path, const Json::parser_callback_t& keep) {
  std::ifstream file = OpenInput(path);
  return Parse(file, path, keep);
}

}  // namespace sweep
