#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// Rows of text under named columns.
struct CsvText {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  ///< of each row in its file; the header is line 1
};

/// Parses comma-, semicolon- or tab-separated text (RFC 4180; the separator is the one most
/// frequent in the header): quoted cells, CRLF, a byte-order mark, empty lines. Throws
/// Failure(kData) naming the line for rows of another width, a repeated or empty column name, an
/// open quote, or no rows at all.
[[nodiscard]] CsvText ParseCsvText(std::string_view text, const std::string& origin);

}  // namespace sweep
