#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// The most bytes of one row, and the most cells that ParseCsvText keeps of a table, where a row
/// counts as three more: whatever a file holds, half a gigabyte of memory is enough for it.
inline constexpr size_t kMostCsvRowBytes = size_t{1} << 20;
inline constexpr size_t kMostCsvCells = 16'000'000;

/// Rows of text under named columns.
struct CsvText {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  ///< of each row in its file; the header is line 1
};

/// Fills a buffer with the next bytes of a text and returns their number, 0 at its end.
using ReadBytes = std::function<size_t(char* buffer, size_t size)>;

/// Reads comma-, semicolon- or tab-separated text row by row (RFC 4180; the separator is the one
/// most frequent in the header): quoted cells, CRLF, a byte-order mark, empty lines. All functions
/// throw Failure(kData) naming the line for rows of another width or of more than kMostCsvRowBytes,
/// a repeated or empty column name, or an open quote.
class CsvReader {
 public:
  /// Reads the header. `origin` is the file's name for messages.
  CsvReader(ReadBytes read, std::string origin);

  /// None for a text without a row. An unnamed first column, the index that pandas writes, is left
  /// out of these and of all rows.
  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  /// The next row, of as many cells as there are columns; false at the end.
  bool Next(std::vector<std::string>& cells);
  /// Line of the file on which the row of the last call of Next begins; the header is line 1.
  [[nodiscard]] std::size_t line() const { return row_line_; }

 private:
  [[nodiscard]] bool AtEnd();
  char Take();
  [[nodiscard]] bool AtCellEnd();
  void ReadHeader();
  bool ReadRow(std::vector<std::string>& cells);
  std::string Cell();
  std::string Quoted();
  [[noreturn]] void Fail(std::size_t line, const std::string& what) const;

  ReadBytes read_;
  std::string origin_;
  std::string held_;  // bytes that were read
  std::size_t at_ = 0;
  std::size_t row_bytes_ = 0;  // taken of the row so far
  char separator_ = ',';
  std::size_t line_ = 1;
  std::size_t row_line_ = 1;
  bool has_index_ = false;
  std::vector<std::string> columns_;
};

/// All rows of a table that is held whole. Throws what CsvReader throws, and Failure(kData) for no
/// rows at all or more than kMostCsvCells cells.
[[nodiscard]] CsvText ParseCsvText(std::string_view text, const std::string& origin);
[[nodiscard]] CsvText ReadCsvText(const ReadBytes& read, const std::string& origin);

}  // namespace sweep
