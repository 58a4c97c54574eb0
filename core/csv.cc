#include "core/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/failure.h"
#include "core/printable.h"

namespace sweep {
namespace {

constexpr size_t kPiece = 1 << 16;
constexpr size_t kRowsOverhead = 3;  // cells that a row takes as much memory as, beside its own
constexpr size_t kMostShown = 100;   // bytes of a name in a message

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

std::string WithoutSpaceAround(std::string_view cell) {
  while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
  while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
  return std::string(cell);
}

}  // namespace

CsvReader::CsvReader(ReadBytes read, std::string origin)
    : read_(std::move(read)), origin_(std::move(origin)) {
  ReadHeader();
}

void CsvReader::Fail(std::size_t line, const std::string& what) const {
  throw Failure(FailureCode::kData, fmt::format("{}:{}: {}", origin_, line, what));
}

// What was taken is forgotten when more is read.
bool CsvReader::AtEnd() {
  if (at_ < held_.size()) return false;
  held_.resize(kPiece);
  at_ = 0;
  held_.resize(read_(held_.data(), held_.size()));
  return held_.empty();
}

char CsvReader::Take() {
  if (++row_bytes_ > kMostCsvRowBytes)
    Fail(row_line_, fmt::format("a row of more than {} bytes", kMostCsvRowBytes));
  return held_[at_++];
}

bool CsvReader::AtCellEnd() {
  return AtEnd() || held_[at_] == separator_ || held_[at_] == '\n' || held_[at_] == '\r';
}

// The first line is held whole, as far as a row may be long, before its separators are counted.
void CsvReader::ReadHeader() {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  for (size_t got = 1; got > 0 && held_.size() < kMostCsvRowBytes;) {
    const size_t before = held_.size();
    held_.resize(before + kPiece);
    got = read_(held_.data() + before, kPiece);
    held_.resize(before + got);
    if (held_.find('\n', before) != held_.npos) break;
  }
  if (held_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  separator_ = Separator(std::string_view(held_).substr(at_));
  if (!ReadRow(columns_)) return;
  has_index_ = columns_.front().empty();
  if (has_index_) columns_.erase(columns_.begin());
  std::set<std::string_view> seen;
  for (const std::string& name : columns_) {
    if (name.empty()) Fail(1, "a column has no name");
    if (!seen.insert(name).second)
      Fail(1, fmt::format("two columns are named '{}'", Printable(name, kMostShown)));
  }
}

bool CsvReader::Next(std::vector<std::string>& cells) {
  if (!ReadRow(cells)) return false;
  const std::size_t expected = columns_.size() + (has_index_ ? 1 : 0);
  if (cells.size() != expected) {
    Fail(row_line_, fmt::format("{} cells, expected {} as in the header", cells.size(), expected));
  }
  if (has_index_) cells.erase(cells.begin());
  return true;
}

// The next row that is not empty; false at the end.
bool CsvReader::ReadRow(std::vector<std::string>& cells) {
  while (!AtEnd()) {
    row_line_ = line_;
    row_bytes_ = 0;
    cells.clear();
    cells.push_back(Cell());
    while (!AtEnd() && held_[at_] == separator_) {
      Take();
      cells.push_back(Cell());
    }
    if (!AtEnd() && Take() == '\r' && !AtEnd() && held_[at_] == '\n') Take();
    ++line_;
    if (cells.size() > 1 || !cells[0].empty()) return true;
  }
  return false;
}

std::string CsvReader::Cell() {
  if (!AtEnd() && held_[at_] == '"') return Quoted();
  std::string cell;
  while (!AtCellEnd()) cell += Take();
  return WithoutSpaceAround(cell);
}

std::string CsvReader::Quoted() {
  const std::size_t opened = line_;
  std::string cell;
  Take();
  for (;;) {
    if (AtEnd()) Fail(opened, "a quote is opened here and never closed");
    const char c = Take();
    if (c == '"') {
      if (AtEnd() || held_[at_] != '"') break;
      Take();
    }
    if (c == '\n') ++line_;
    cell += c;
  }
  if (!AtCellEnd()) Fail(line_, "text follows a closing quote");
  return cell;
}

CsvText ReadCsvText(const ReadBytes& read, const std::string& origin) {
  CsvReader reader(read, origin);
  CsvText table;
  table.columns = reader.columns();
  std::size_t cells = 0;
  for (std::vector<std::string> row; reader.Next(row);) {
    cells += row.size() + kRowsOverhead;
    if (cells > kMostCsvCells) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}:{}: more than {} cells, the most that is read of a table",
                                origin,
                                reader.line(),
                                kMostCsvCells));
    }
    table.rows.push_back(std::move(row));
    table.lines.push_back(reader.line());
  }
  if (table.rows.empty())
    throw Failure(FailureCode::kData, fmt::format("{}:1: no rows below a header", origin));
  return table;
}

CsvText ParseCsvText(std::string_view text, const std::string& origin) {
  return ReadCsvText(
      [&text](char* buffer, size_t size) {
        const size_t got = text.copy(buffer, size);
        text.remove_prefix(got);
        return got;
      },
      origin);
}

}  // namespace sweep
