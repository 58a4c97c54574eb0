#include "orchestrator/row_expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

bool IsMissing(const std::string& cell) {
  static const std::set<std::string> words = {
      "", "NA", "N/A", "n/a", "na", "null", "None", "NULL", "-"};
  return words.contains(cell);
}

std::string Trimmed(std::string text) {
  const auto unwanted = [](char c) { return c == ' ' || c == '"' || c == '\''; };
  while (!text.empty() && unwanted(text.front())) text.erase(0, 1);
  while (!text.empty() && unwanted(text.back())) text.pop_back();
  return text;
}

}  // namespace

std::optional<double> NumberIn(const std::string& cell) {
  const char* begin = cell.data() + (cell.starts_with('+') ? 1 : 0);
  const char* const end = cell.data() + cell.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string ColumnsOf(const Table& table) {
  return fmt::format("{} has the columns {}", table.origin, fmt::join(table.columns, ", "));
}

std::size_t RequireColumn(const Table& table,
                          const std::string& column,
                          const std::string& option) {
  const std::size_t index = table.Find(column);
  if (index == table.columns.size()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: no column '{}'; {}", option, column, ColumnsOf(table)));
  }
  return index;
}

bool NumberColumns::IsMissingAt(std::size_t column, std::size_t row) const {
  return IsMissing(table_.rows[row][column]);
}

double NumberColumns::At(std::size_t column, std::size_t row) const {
  const std::string& cell = table_.rows[row][column];
  if (const std::optional<double> number = NumberIn(cell)) return *number;
  if (IsMissing(cell)) return kMissing;
  throw Failure(
      FailureCode::kData,
      fmt::format("{}: column {} is '{}', expected a number{}",
                  table_.labels[row],
                  table_.columns[column],
                  cell,
                  cell.ends_with('%') ? " (without the sign; then map E='err/100')" : ""));
}

RowExpression::RowExpression(const Table& table,
                             const std::string& text,
                             const std::string& option,
                             const std::vector<std::string>& variables)
    : expression_(table.Has(text) ? "\"" + text + "\"" : text) {  // a whole name needs no quotes
  for (const std::string& name : expression_.names()) {
    const auto variable = std::find(variables.begin(), variables.end(), name);
    if (!table.Has(name) && variable != variables.end()) {
      sources_.push_back({name, false, static_cast<std::size_t>(variable - variables.begin())});
    } else {
      sources_.push_back({name, true, RequireColumn(table, name, option)});
    }
  }
}

void RowExpression::AddColumns(std::set<std::string>& columns) const {
  for (const Source& source : sources_) {
    if (source.column) columns.insert(source.name);
  }
}

double RowExpression::At(NumberColumns& numbers,
                         std::size_t row,
                         const std::vector<double>& variables) const {
  return expression_.Evaluate([&](const std::string& name) {
    for (const Source& source : sources_) {
      if (source.name == name)
        return source.column ? numbers.At(source.index, row) : variables[source.index];
    }
    return kMissing;
  });
}

std::optional<std::string> RowExpression::Missing(const NumberColumns& numbers,
                                                  std::size_t row) const {
  for (const Source& source : sources_) {
    if (source.column && numbers.IsMissingAt(source.index, row)) return source.name;
  }
  return std::nullopt;
}

RowFilter::RowFilter(const Table& table, const std::string& text) : text_(text) {
  if (!ReadAsText(table))
    number_.emplace(table, text, "--where " + text, std::vector<std::string>{});
}

bool RowFilter::Keeps(const Table& table, NumberColumns& numbers, std::size_t row) const {
  if (number_) return number_->At(numbers, row, {}) != 0 && !number_->Missing(numbers, row);
  return (table.rows[row][column_] == word_) == equal_;
}

bool RowFilter::ReadAsText(const Table& table) {
  const std::size_t sign = text_.find('=');
  if (sign == std::string::npos || sign == 0 || text_[sign - 1] == '<' || text_[sign - 1] == '>')
    return false;
  equal_ = text_[sign - 1] != '!';
  const std::size_t after = text_.find_first_not_of('=', sign);
  column_ = table.Find(Trimmed(text_.substr(0, equal_ ? sign : sign - 1)));
  word_ = after == std::string::npos ? "" : Trimmed(text_.substr(after));
  if (column_ == table.columns.size()) return false;
  // A column of numbers is compared as numbers.
  return std::any_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
    return !IsMissing(row[column_]) && !NumberIn(row[column_]);
  });
}

}  // namespace sweep
