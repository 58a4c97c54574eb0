#pragma once

#include <string>
#include <vector>

#include "db/records.h"

namespace sweep {

/// Rows of text in aligned columns, for a terminal or a log: two spaces between columns, numbers to
/// the right.
[[nodiscard]] std::string FormatTable(const std::vector<std::string>& header,
                                      const std::vector<std::vector<std::string>>& rows);

/// Number of columns a UTF-8 text takes (every code point counts as one).
[[nodiscard]] size_t DisplayWidth(const std::string& text);

/// RFC 4180: cells with commas, quotes or line ends are quoted.
[[nodiscard]] std::string FormatCsv(const QueryTable& table);

/// One JSON object a line; cells that are numbers become numbers, empty ones null.
[[nodiscard]] std::string FormatJsonLines(const QueryTable& table);

/// The rows as JSON objects, as in FormatJsonLines.
[[nodiscard]] Json TableToJson(const QueryTable& table);

/// A value of such a row as text; `otherwise` for null.
[[nodiscard]] std::string CellText(const Json& value, const std::string& otherwise = "");

}  // namespace sweep
