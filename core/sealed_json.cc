#include "core/sealed_json.h"

#include <fmt/format.h>

#include "core/failure.h"
#include "core/hash.h"

namespace sweep {
namespace {

constexpr std::string_view kMark = ",\"sha256\":\"";
constexpr size_t kDigits = 64;
constexpr std::string_view kEnd = "\"}";
constexpr std::string_view kWhitespace = " \t\r\n";

std::string Seal(std::string_view body) {
  return fmt::format("{}{}{}", kMark, Sha256Hex(body), kEnd);
}

}  // namespace

std::string SealJson(const Json& object) {
  std::string body = object.dump(2);
  body.resize(body.size() - std::string_view("\n}").size());
  return body + Seal(body) + "\n";
}

SealedJson ParseSealedJson(std::string_view text, const std::string& origin) {
  const std::string_view trimmed = text.substr(0, text.find_last_not_of(kWhitespace) + 1);
  const size_t tail = kMark.size() + kDigits + kEnd.size();
  const size_t begin = trimmed.size() < tail ? 0 : trimmed.size() - tail;
  const std::string_view body = trimmed.substr(0, begin);
  if (begin == 0 || trimmed.substr(begin, kMark.size()) != kMark)
    return {ParseJson(text, origin), false};
  if (trimmed.substr(begin) != Seal(body))
    throw Malformed(fmt::format("{} is damaged: its content is not what its sha256 says", origin));
  return {ParseJson(std::string(body) + "}", origin), true};
}

}  // namespace sweep
