#include "orchestrator/cli/fit_table.h"

#include <fmt/format.h>

#include <set>

#include "fit/options.h"
#include "orchestrator/point_kind.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

std::string Caption(const FitReport& r) {
  return fmt::format("{}: y = {}; {:.0f} % intervals by {}; points: {}; {} residuals, {} loss",
                     r.law,
                     r.formula,
                     100 * r.level,
                     ToString(r.intervals),
                     ToString(r.select),
                     ToString(r.residual),
                     ToString(r.loss));
}

std::string ValueWithInterval(const Estimate& estimate) {
  if (estimate.fixed) return fmt::format("{:.5g}", estimate.value);
  const auto limit = [](const std::optional<double>& v) {
    return v ? fmt::format("{:.4g}", *v) : std::string("?");
  };
  return fmt::format("{:.5g} [{}, {}]", estimate.value, limit(estimate.low), limit(estimate.high));
}

std::vector<std::string> Header(const FitReport& report) {
  std::vector<std::string> header;
  for (const auto& [column, value] : report.group.items()) header.push_back(column);
  header.emplace_back("n");
  for (const Estimate& estimate : report.estimates) header.push_back(estimate.name);
  header.emplace_back("note");
  return header;
}

std::vector<std::string> Row(const FitReport& report) {
  std::vector<std::string> row;
  for (const auto& [column, value] : report.group.items()) row.push_back(value.get<std::string>());
  row.push_back(std::to_string(report.n));
  for (const Estimate& estimate : report.estimates) row.push_back(ValueWithInterval(estimate));
  row.push_back(report.warnings.empty() ? "" : report.warnings.back());
  return row;
}

// Where runs ended in points of several kinds, which of them the laws are of: each answer once.
std::string KindLines(const std::vector<FitReport>& reports) {
  std::set<std::string> lines;
  for (const FitReport& report : reports) {
    if (report.kinds_left_out.empty()) continue;
    lines.insert(fmt::format("points of kind {} were fitted; left out: {} (--kind)\n",
                             report.kind,
                             KindCountsText(report.kinds_left_out)));
  }
  return fmt::format("{}", fmt::join(lines, ""));
}

}  // namespace

std::string FitTables(const std::vector<FitReport>& reports) {
  std::string text;
  for (size_t begin = 0; begin < reports.size();) {
    const std::string caption = Caption(reports[begin]);
    std::vector<std::vector<std::string>> rows;
    size_t end = begin;
    for (; end < reports.size() && Caption(reports[end]) == caption; ++end)
      rows.push_back(Row(reports[end]));
    text += fmt::format(
        "{}{}\n\n{}", begin > 0 ? "\n" : "", caption, FormatTable(Header(reports[begin]), rows));
    begin = end;
  }
  return text + KindLines(reports);
}

}  // namespace sweep
