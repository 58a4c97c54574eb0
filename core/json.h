#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sweep {

/// JSON value; objects keep their keys sorted, which is what makes `CanonicalDump` canonical.
using Json = nlohmann::json;

/// One text for one value: sorted keys, no spaces, integral numbers written as integers (1.0 and 1
/// are the same). This is what identities are hashes of.
[[nodiscard]] std::string CanonicalDump(Json value);

/// Parses `text`; `origin` (a file name) goes into the message. Throws Failure(kUsage) with line
/// and column.
[[nodiscard]] Json ParseJson(std::string_view text, const std::string& origin);

/// Reads and parses a whole file. Throws Failure(kUsage) when it is absent or malformed. `keep` is
/// asked of every value as it ends and may take it in the document's place.
[[nodiscard]] Json ReadJsonFile(const std::string& path,
                                const Json::parser_callback_t& keep = nullptr);

}  // namespace sweep
