#include "orchestrator/run_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "orchestrator/progress.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct Symbol {
  RunState state;
  char letter;
  int colour;  // SGR code
};

// In the order they stand in a cell.
constexpr std::array<Symbol, 8> kSymbols = {{
    {RunState::kCompleted, '#', 32},
    {RunState::kRunning, '>', 36},
    {RunState::kQueued, 'q', 36},
    {RunState::kSubmitting, 's', 36},
    {RunState::kPlanned, '.', 2},
    {RunState::kFailed, '!', 31},
    {RunState::kDiverged, '%', 31},
    {RunState::kCancelled, 'x', 33},
}};
constexpr int64_t kMostSymbols = 8;  // of one cell

using StateCounts = std::map<RunState, int64_t>;

std::string CellText(const StateCounts& counts) {
  int64_t runs = 0;
  for (const auto& [state, count] : counts) runs += count;
  std::string text;
  for (const Symbol& symbol : kSymbols) {
    const auto found = counts.find(symbol.state);
    if (found == counts.end()) continue;
    if (runs <= kMostSymbols) {
      text.append(static_cast<size_t>(found->second), symbol.letter);
    } else {
      text += fmt::format("{}{}{}", text.empty() ? "" : " ", found->second, symbol.letter);
    }
  }
  return text;
}

std::string Painted(const std::string& line, size_t from) {
  std::string painted = line.substr(0, from);
  for (const char c : line.substr(std::min(from, line.size()))) {
    const auto symbol = std::find_if(
        kSymbols.begin(), kSymbols.end(), [&](const Symbol& s) { return s.letter == c; });
    painted += symbol == kSymbols.end() ? std::string(1, c)
                                        : fmt::format("\x1b[{}m{}\x1b[0m", symbol->colour, c);
  }
  return painted;
}

// Colours every line but the header, right of the names.
std::string PaintedTable(const std::string& table, size_t name_width) {
  std::string painted;
  for (size_t at = 0, number = 0; at < table.size(); ++number) {
    const size_t end = table.find('\n', at);
    const std::string line = table.substr(at, end - at);
    painted += (number == 0 ? line : Painted(line, name_width)) + "\n";
    at = end + 1;
  }
  return painted;
}

std::string Legend(const std::vector<GridRun>& runs) {
  std::string legend;
  for (const Symbol& symbol : kSymbols) {
    const auto has_it = [&](const GridRun& run) { return run.state == symbol.state; };
    if (std::any_of(runs.begin(), runs.end(), has_it))
      legend +=
          fmt::format("{}{} {}", legend.empty() ? "" : "  ", symbol.letter, ToString(symbol.state));
  }
  return legend + "\n";
}

}  // namespace

std::string FormatRunGrid(const std::vector<GridRun>& runs, bool colour) {
  std::map<std::pair<double, std::string>, std::map<int64_t, StateCounts>> cells;
  std::set<int64_t> columns;
  size_t name_width = 0;
  for (const GridRun& run : runs) {
    cells[{run.gmacs_per_sample, run.model}][run.samples_seen][run.state] += run.count;
    columns.insert(run.samples_seen);
    name_width = std::max(name_width, DisplayWidth(run.model));
  }
  std::vector<std::string> header = {""};
  for (const int64_t samples : columns) header.push_back(HumanCount(static_cast<double>(samples)));
  std::vector<std::vector<std::string>> rows;
  for (const auto& [model, row] : cells) {
    std::vector<std::string>& line = rows.emplace_back();
    line.push_back(model.second);
    for (const int64_t samples : columns) {
      const auto cell = row.find(samples);
      line.push_back(cell == row.end() ? "" : CellText(cell->second));
    }
  }
  const std::string table = FormatTable(header, rows);
  return (colour ? PaintedTable(table, name_width) : table) + Legend(runs);
}

}  // namespace sweep
