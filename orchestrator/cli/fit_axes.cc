#include "orchestrator/cli/fit_axes.h"

#include <fmt/format.h>

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
constexpr double kSameSamples = 0.05;

double SamplesOf(const CurvePoints& curve, std::size_t row) {
  return std::stod(curve.rows.rows[row][curve.rows.Find("samples_seen")]);
}

// The lowest error among the second curve's points with this model and as many samples.
std::optional<std::size_t> BestMatch(const CurvePoints& second,
                                     const CurveCell& b,
                                     const std::string& model,
                                     double samples) {
  std::optional<std::size_t> best;
  for (std::size_t j = 0; j < b.group.points.size(); ++j) {
    const std::size_t row = b.group.rows[j];
    if (second.rows.rows[row][second.rows.Find("model")] != model) continue;
    if (std::abs(std::log(SamplesOf(second, row) / samples)) > kSameSamples) continue;
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

Axes AxesOf(const Table& rows, const std::vector<std::size_t>& members) {
  Axes axes;
  for (const std::string& column : kDesign) {
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
                                 double level) {
  MatchedComparison matched;
  if (!first.rows.Has("model") || !second.rows.Has("model") || !first.rows.Has("samples_seen") ||
      !second.rows.Has("samples_seen")) {
    return matched;
  }
  std::vector<std::size_t> of_first, of_second;
  std::set<double> computes;
  for (std::size_t i = 0; i < a.group.points.size(); ++i) {
    const std::size_t row = a.group.rows[i];
    const std::string& model = first.rows.rows[row][first.rows.Find("model")];
    const double samples = SamplesOf(first, row);
    const std::optional<std::size_t> j = BestMatch(second, b, model, samples);
    if (!j) continue;
    matched.cells.push_back({model,
                             samples,
                             SamplesOf(second, b.group.rows[*j]),
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
    cells.push_back({{"model", cell.model},
                     {"samples_seen", {cell.samples_first, cell.samples_second}},
                     {"error", {cell.error_first, cell.error_second}}});
  }
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  return {{"cells", cells},
          {"exponents", matched.exponents ? ToJson(*matched.exponents) : Json(nullptr)},
          {"mean_log_ratio", matched.cells.empty() ? Json(nullptr) : Json(matched.mean_log_ratio)},
          {"low", or_null(matched.low)},
          {"high", or_null(matched.high)}};
}

}  // namespace sweep
