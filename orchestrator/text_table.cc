#include "orchestrator/text_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sweep {
namespace {

bool IsNumber(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// A column is numeric when its filled cells begin as numbers do: "12.8B" and "41%" are to be
// compared by eye too.
bool LooksNumeric(const std::string& cell) {
  const size_t first = cell.find_first_not_of("+-\u2212.");
  return first != std::string::npos && std::isdigit(static_cast<unsigned char>(cell[first])) != 0;
}

std::string Pad(const std::string& text, size_t width, bool to_the_right) {
  const std::string space(width - std::min(width, DisplayWidth(text)), ' ');
  return to_the_right ? space + text : text + space;
}

std::string QuoteCell(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string CsvLine(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) line += (i > 0 ? "," : "") + QuoteCell(cells[i]);
  return line + "\n";
}

Json CellToJson(const std::string& cell) {
  if (cell.empty()) return nullptr;
  int64_t integer = 0;
  const char* end = cell.data() + cell.size();
  const auto [after, error] = std::from_chars(cell.data(), end, integer);
  if (error == std::errc() && after == end && (cell == "0" || cell[0] != '0')) return integer;
  double number = 0;
  if (IsNumber(cell)) {
    std::from_chars(cell.data(), end, number);
    if (std::isfinite(number)) return number;
  }
  return cell;
}

}  // namespace

size_t DisplayWidth(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  std::vector<bool> numeric;
  for (size_t column = 0; column < header.size(); ++column) {
    size_t width = DisplayWidth(header[column]);
    bool all_numeric = !rows.empty();
    for (const auto& row : rows) {
      width = std::max(width, DisplayWidth(row.at(column)));
      all_numeric =
          all_numeric && (row[column].empty() || row[column] == "-" || LooksNumeric(row[column]));
    }
    widths.push_back(width);
    numeric.push_back(all_numeric);
  }
  std::string text;
  const auto append = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t column = 0; column < cells.size(); ++column) {
      line += (column > 0 ? "  " : "") + Pad(cells[column], widths[column], numeric[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  append(header);
  for (const auto& row : rows) append(row);
  return text;
}

std::string FormatCsv(const QueryTable& table) {
  std::string text = CsvLine(table.columns);
  for (const auto& row : table.rows) text += CsvLine(row);
  return text;
}

Json TableToJson(const QueryTable& table) {
  Json rows = Json::array();
  for (const auto& row : table.rows) {
    Json object = Json::object();
    for (size_t i = 0; i < table.columns.size(); ++i) object[table.columns[i]] = CellToJson(row[i]);
    rows.push_back(std::move(object));
  }
  return rows;
}

std::string FormatJsonLines(const QueryTable& table) {
  std::string text;
  for (const Json& row : TableToJson(table)) text += row.dump() + "\n";
  return text;
}

std::string CellText(const Json& value, const std::string& otherwise) {
  return value.is_null() ? otherwise : value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace sweep
