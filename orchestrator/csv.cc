#include "orchestrator/csv.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/csv.h"
#include "core/read_file.h"

namespace sweep {

std::size_t Table::Find(std::string_view column) const {
  return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), column) -
                                  columns.begin());
}

namespace {

Table TableOf(CsvText csv, const std::string& origin) {
  Table table;
  table.columns = std::move(csv.columns);
  table.rows = std::move(csv.rows);
  table.origin = origin;
  for (const std::size_t line : csv.lines) table.labels.push_back(fmt::format("line {}", line));
  NameRows(table);
  return table;
}

}  // namespace

Table ParseCsv(std::string_view text, const std::string& origin) {
  return TableOf(ParseCsvText(text, origin), origin);
}

Table ReadCsv(const std::string& path) {
  FileReader file(path, FileKind::kAny);
  return TableOf(
      ReadCsvText([&](char* buffer, size_t size) { return file.Read(buffer, size); }, path), path);
}

void NameRows(Table& table) {
  for (const char* column : {"run", "name", "model"}) {
    const std::size_t index = table.Find(column);
    if (index == table.columns.size()) continue;
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      const std::string& name = table.rows[r][index];
      if (!name.empty()) table.labels[r] += " (" + name + ")";
    }
    return;
  }
}

}  // namespace sweep
