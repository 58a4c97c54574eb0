#include "core/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <istream>
#include <streambuf>
#include <utility>
#include <vector>

#include "core/failure.h"
#include "core/read_file.h"

namespace sweep {
namespace {

std::optional<int64_t> IntegerIn(double number) {
  constexpr double kExactlyRepresentable = 9007199254740992.0;  // 2^53
  if (std::abs(number) > kExactlyRepresentable || number != std::trunc(number)) return std::nullopt;
  return static_cast<int64_t>(number);
}

// In place: a sweep's record of many runs is not held twice.
void MakeIntegralNumbersIntegers(Json& value) {
  if (value.is_structured()) {
    for (Json& member : value) MakeIntegralNumbersIntegers(member);
  } else if (value.is_number_float()) {
    if (const auto integer = IntegerIn(value.get<double>())) value = *integer;
  }
}

[[noreturn]] void ThrowTooDeep(const std::string& origin) {
  throw Malformed(fmt::format(
      "{}: not valid JSON: objects and arrays lie more than {} deep", origin, kMostJsonDepth));
}

// How deep objects and arrays lie within each other in a text that need not be valid JSON.
int DepthOf(std::string_view text) {
  int depth = 0;
  int most = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      most = std::max(most, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return most;
}

// Lets the JSON parser read a file through FileReader, whose errors come out as exceptions.
class FileBuffer : public std::streambuf {
 public:
  explicit FileBuffer(const std::string& path) : file_(path), buffer_(1 << 16) {}

 protected:
  int_type underflow() override {
    const size_t got = file_.Read(buffer_.data(), buffer_.size());
    if (got == 0) return traits_type::eof();
    setg(buffer_.data(), buffer_.data(), buffer_.data() + got);
    return traits_type::to_int_type(buffer_[0]);
  }

 private:
  FileReader file_;
  std::vector<char> buffer_;
};

const Json* FindMember(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto member = object.find(name);
  return member == object.end() ? nullptr : &*member;
}

template <class Input>
Json Parse(Input&& input, const std::string& origin, const Json::parser_callback_t& keep) {
  try {
    return Json::parse(input, keep);
  } catch (const Json::exception& error) {
    throw Malformed(fmt::format("{}: not valid JSON: {}", origin, error.what()));
  }
}

}  // namespace

std::string CanonicalDump(Json value) {
  MakeIntegralNumbersIntegers(value);
  return value.dump();
}

Json ParseJson(std::string_view text, const std::string& origin) {
  if (DepthOf(text) > kMostJsonDepth) ThrowTooDeep(origin);
  return Parse(text, origin, nullptr);
}

Json ReadJsonFile(const std::string& path) {
  return ParseJson(ReadFile(path, kMostDocumentBytes), path);
}

Json ReadJsonStream(const std::string& path, const Json::parser_callback_t& keep) {
  FileBuffer buffer(path);
  std::istream file(&buffer);
  return Parse(file, path, [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMostJsonDepth) ThrowTooDeep(path);
    return keep(depth, event, parsed);
  });
}

std::optional<double> FindNumber(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  const auto number = member->get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<int64_t> FindInteger(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  if (member->is_number_float()) return IntegerIn(member->get<double>());
  if (member->is_number_unsigned() && !std::in_range<int64_t>(member->get<uint64_t>()))
    return std::nullopt;
  return member->get<int64_t>();
}

std::optional<std::string> FindText(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return member->get<std::string>();
}

}  // namespace sweep
