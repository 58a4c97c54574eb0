#include "core/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/failure.h"

namespace sweep {
namespace {

[[noreturn]] void Fail(const std::string& origin, std::size_t line, const std::string& what) {
  throw Failure(FailureCode::kData, fmt::format("{}:{}: {}", origin, line, what));
}

char Separator(std::string_view text) {
  const std::string_view header = text.substr(0, text.find('\n'));
  char best = ',';
  for (const char candidate : {';', '\t'}) {
    if (std::count(header.begin(), header.end(), candidate) >
        std::count(header.begin(), header.end(), best)) {
      best = candidate;
    }
  }
  return best;
}

class Reader {
 public:
  Reader(std::string_view text, char separator, const std::string& origin)
      : text_(text), separator_(separator), origin_(origin) {}

  [[nodiscard]] bool AtEnd() const { return at_ >= text_.size(); }
  /// Line of the row that Row reads next.
  [[nodiscard]] std::size_t line() const { return line_; }

  std::vector<std::string> Row() {
    std::vector<std::string> cells;
    for (;;) {
      cells.push_back(Cell());
      if (AtEnd()) return cells;
      const char end = text_[at_++];
      if (end == separator_) {
        if (AtEnd()) cells.emplace_back();
        if (AtEnd()) return cells;
        continue;
      }
      if (end == '\r' && !AtEnd() && text_[at_] == '\n') ++at_;
      ++line_;
      return cells;
    }
  }

 private:
  std::string Cell() {
    if (!AtEnd() && text_[at_] == '"') return Quoted();
    const std::size_t begin = at_;
    while (!AtEnd() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    std::string_view cell = text_.substr(begin, at_ - begin);
    while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
    while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
    return std::string(cell);
  }

  std::string Quoted() {
    const std::size_t opened = line_;
    std::string cell;
    for (++at_;; ++at_) {
      if (AtEnd()) Fail(origin_, opened, "a quote is opened here and never closed");
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
        ++at_;
      }
      if (text_[at_] == '\n') ++line_;
      cell += text_[at_];
    }
    ++at_;
    if (!AtEnd() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
      Fail(origin_, line_, "text follows a closing quote");
    }
    return cell;
  }

  std::string_view text_;
  char separator_;
  const std::string& origin_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

void CheckHeader(const CsvText& table, const std::string& origin) {
  std::set<std::string> seen;
  for (const std::string& name : table.columns) {
    if (name.empty()) Fail(origin, 1, "a column has no name");
    if (!seen.insert(name).second) Fail(origin, 1, fmt::format("two columns are named '{}'", name));
  }
}

// pandas writes its index under an empty name; nothing is lost without it.
void DropUnnamedIndex(CsvText& table) {
  if (table.columns.empty() || !table.columns.front().empty()) return;
  table.columns.erase(table.columns.begin());
  for (auto& row : table.rows) row.erase(row.begin());
}

}  // namespace

CsvText ParseCsvText(std::string_view text, const std::string& origin) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  Reader reader(text, Separator(text), origin);
  CsvText table;
  while (!reader.AtEnd()) {
    const std::size_t line = reader.line();
    std::vector<std::string> cells = reader.Row();
    if (cells.size() == 1 && cells[0].empty()) continue;
    if (table.columns.empty()) {
      table.columns = std::move(cells);
      continue;
    }
    if (cells.size() != table.columns.size()) {
      Fail(origin,
           line,
           fmt::format(
               "{} cells, expected {} as in the header", cells.size(), table.columns.size()));
    }
    table.rows.push_back(std::move(cells));
    table.lines.push_back(line);
  }
  DropUnnamedIndex(table);
  CheckHeader(table, origin);
  if (table.rows.empty()) Fail(origin, 1, "no rows below a header");
  return table;
}

}  // namespace sweep
