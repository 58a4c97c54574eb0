#include "orchestrator/cli/fit_axes.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <set>

#include "fit/statistics.h"

namespace sweep {
namespace {

// Columns that describe how a model was made, in the order a reader asks for them.
const std::vector<std::string> kDesign = {"model",
                                          "samples_seen",
                                          "pretraining_dataset",
                                          "dataset",
                                          "data_scale",
                                          "global_batch_size",
                                          "learning_rate",
                                          "schedule"};
constexpr double kSameNumber = 0.05;

const std::vector<std::string> kMatch = {"model", "samples_seen"};

std::optional<double> AsNumber(const std::string& cell) {
  double value = 0;
  const auto [stop, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || stop != cell.data() + cell.size()) return std::nullopt;
  return value;
}

bool Agree(const std::string& a, const std::string& b) {
  if (a == b) return !a.empty();
  const std::optional<double> x = AsNumber(a), y = AsNumber(b);
  return x && y && *x > 0 && *y > 0 && std::abs(std::log(*x / *y)) <= kSameNumber;
}

std::vector<std::string> CellsOf(const Table& rows,
                                 std::size_t row,
                                 const std::vector<std::string>& columns) {
  std::vector<std::string> cells;
  for (const std::string& column : columns) cells.push_back(rows.rows[row][rows.Find(column)]);
  return cells;
}

// The lowest error among the second curve's points that agree.
std::optional<std::size_t> BestMatch(const CurvePoints& second,
                                     const CurveCell& b,
                                     const std::vector<std::string>& wanted,
                                     const std::vector<std::string>& columns) {
  std::optional<std::size_t> best;
  for (std::size_t j = 0; j < b.group.points.size(); ++j) {
    const std::vector<std::string> cells = CellsOf(second.rows, b.group.rows[j], columns);
    bool agree = true;
    for (std::size_t c = 0; c < cells.size(); ++c) agree = agree && Agree(wanted[c], cells[c]);
    if (!agree) continue;
    if (!best || b.group.points.y[j] < b.group.points.y[*best]) best = j;
  }
  return best;
}

void FillRatio(MatchedComparison& matched, double level) {
  const auto n = static_cast<double>(matched.cells.size());
  for (const MatchedCell& cell : matched.cells)
    matched.mean_log_ratio += std::log(cell.error_first / cell.error_second) / n;
  if (n < 2) return;
  double square = 0;
  for (const MatchedCell& cell : matched.cells) {
    const double away = std::log(cell.error_first / cell.error_second) - matched.mean_log_ratio;
    square += away * away;
  }
  const double reach = StudentQuantile(0.5 * (1 + level), n - 1) * std::sqrt(square / (n - 1) / n);
  matched.low = matched.mean_log_ratio - reach;
  matched.high = matched.mean_log_ratio + reach;
}

CurveFit FitMatched(const CurveCell& cell, const std::vector<std::size_t>& points, double level) {
  FitOptions options;
  options.level = level;
  return {cell.curve, Fit(cell.group.points.Subset(points), options)};
}

}  // namespace

Axes AxesOf(const Table& rows,
            const std::vector<std::size_t>& members,
            const std::vector<std::string>& columns) {
  Axes axes;
  for (const std::string& column : columns.empty() ? kDesign : columns) {
    const std::size_t index = rows.Find(column);
    if (index == rows.columns.size()) continue;
    std::set<std::string> values;
    for (const std::size_t row : members) values.insert(rows.rows[row][index]);
    if (values.size() == 1 && !values.begin()->empty())
      axes.held.push_back(column + " " + *values.begin());
    if (values.size() > 1) axes.varying.push_back(fmt::format("{} ({})", column, values.size()));
  }
  return axes;
}

MatchedComparison CompareMatched(const CurvePoints& first,
                                 const CurveCell& a,
                                 const CurvePoints& second,
                                 const CurveCell& b,
                                 double level,
                                 const std::vector<std::string>& match) {
  MatchedComparison matched;
  matched.columns = match.empty() ? kMatch : match;
  for (const std::string& column : matched.columns) {
    if (!first.rows.Has(column) || !second.rows.Has(column)) return matched;
  }
  std::vector<std::size_t> of_first, of_second;
  std::set<double> computes;
  for (std::size_t i = 0; i < a.group.points.size(); ++i) {
    std::vector<std::string> cells = CellsOf(first.rows, a.group.rows[i], matched.columns);
    const std::optional<std::size_t> j = BestMatch(second, b, cells, matched.columns);
    if (!j) continue;
    matched.cells.push_back({std::move(cells),
                             CellsOf(second.rows, b.group.rows[*j], matched.columns),
                             a.group.points.y[i],
                             b.group.points.y[*j]});
    of_first.push_back(i);
    of_second.push_back(*j);
    computes.insert(a.group.points.columns[0][i]);
  }
  if (matched.cells.empty()) return matched;
  FillRatio(matched, level);
  if (computes.size() >= 3) {
    matched.exponents =
        CompareExponents(FitMatched(a, of_first, level), FitMatched(b, of_second, level));
  }
  return matched;
}

Json ToJson(const Axes& axes) {
  return {{"varying", axes.varying}, {"held", axes.held}};
}

Json ToJson(const MatchedComparison& matched) {
  Json cells = Json::array();
  for (const MatchedCell& cell : matched.cells) {
    Json json = {{"error", {cell.error_first, cell.error_second}}};
    for (std::size_t c = 0; c < matched.columns.size(); ++c) {
      const std::optional<double> x = AsNumber(cell.first[c]), y = AsNumber(cell.second[c]);
      json[matched.columns[c]] = x && y ? Json{*x, *y} : Json(cell.first[c]);
    }
    cells.push_back(std::move(json));
  }
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  return {{"columns", matched.columns},
          {"cells", cells},
          {"exponents", matched.exponents ? ToJson(*matched.exponents) : Json(nullptr)},
          {"mean_log_ratio", matched.cells.empty() ? Json(nullptr) : Json(matched.mean_log_ratio)},
          {"low", or_null(matched.low)},
          {"high", or_null(matched.high)}};
}

}  // namespace sweep
