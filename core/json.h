#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sweep {

/// JSON value; objects keep their keys sorted, which is what makes `CanonicalDump` canonical.
using Json = nlohmann::json;

/// One text for one value: sorted keys, no spaces, integral numbers written as integers (1.0 and 1
/// are the same). This is what identities are hashes of.
[[nodiscard]] std::string CanonicalDump(Json value);

/// How deep objects and arrays may lie within each other in anything that is read. Deeper documents
/// would exhaust the stack of whatever walks them.
inline constexpr int kMostJsonDepth = 100;

/// Parses `text`; `origin` (a file name) goes into the message. Throws Malformed with line and
/// column, also for what lies deeper than kMostJsonDepth.
[[nodiscard]] Json ParseJson(std::string_view text, const std::string& origin);

/// Reads and parses a regular file of at most kMostDocumentBytes. Throws Malformed when its content
/// is, and what ReadFile throws.
[[nodiscard]] Json ReadJsonFile(const std::string& path);

/// The same of a file of any size, without holding its text: `keep` is asked of every value as it
/// ends and may take it in the document's place.
[[nodiscard]] Json ReadJsonStream(const std::string& path, const Json::parser_callback_t& keep);

/// Members of an object whose types nobody has checked: nullopt where the member is absent or of
/// another type. A number is finite; an integer may be written as 1024.0 and fits int64_t.
[[nodiscard]] std::optional<double> FindNumber(const Json& object, const char* name);
[[nodiscard]] std::optional<int64_t> FindInteger(const Json& object, const char* name);
[[nodiscard]] std::optional<std::string> FindText(const Json& object, const char* name);

}  // namespace sweep
