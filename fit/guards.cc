#include "fit/guards.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "fit/statistics.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;

constexpr double kLevel = 0.05;
constexpr std::size_t kLeastForTrend = 5;  // four points cannot reach 5 %: 2/4! is 8 %
constexpr std::size_t kExactUpTo = 30;
constexpr double kNearlyCollinear = 0.95;
constexpr double kHopelessCorrelation = 0.999;
constexpr double kHopelessSpread = 1.2;

// Pairs in a run of equal values: t(t-1)/2 summed, and the sums that the variance of Kendall's
// statistic is corrected by.
struct Ties {
  double pairs = 0;
  double v1 = 0;  // t(t-1)
  double v2 = 0;  // t(t-1)(t-2)
  double v0 = 0;  // t(t-1)(2t+5)
  void Add(double t) {
    pairs += t * (t - 1) / 2;
    v1 += t * (t - 1);
    v2 += t * (t - 1) * (t - 2);
    v0 += t * (t - 1) * (2 * t + 5);
  }
};

template <class Same>
Ties CountTies(const Indices& order, Same same) {
  Ties ties;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && same(order[begin], order[end])) ++end;
    ties.Add(static_cast<double>(end - begin));
    begin = end;
  }
  return ties;
}

// Sorts `values` and counts the exchanges that takes: the discordant pairs (Knight 1966).
double SortCounting(std::vector<double>& values,
                    std::vector<double>& buffer,
                    std::size_t begin,
                    std::size_t end) {
  if (end - begin < 2) return 0;
  const std::size_t middle = begin + (end - begin) / 2;
  double exchanges =
      SortCounting(values, buffer, begin, middle) + SortCounting(values, buffer, middle, end);
  std::size_t left = begin;
  std::size_t right = middle;
  for (std::size_t k = begin; k < end; ++k) {
    if (right >= end || (left < middle && values[left] <= values[right])) {
      buffer[k] = values[left++];
    } else {
      exchanges += static_cast<double>(middle - left);
      buffer[k] = values[right++];
    }
  }
  std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(begin),
            buffer.begin() + static_cast<std::ptrdiff_t>(end),
            values.begin() + static_cast<std::ptrdiff_t>(begin));
  return exchanges;
}

// P(discordant pairs <= at most) of a random order of n: by the number of permutations with so many
// inversions, built up one element at a time.
double InversionsCdf(std::size_t n, double at_most) {
  std::vector<double> share = {1};
  for (std::size_t k = 2; k <= n; ++k) {
    std::vector<double> next(share.size() + k - 1, 0);
    for (std::size_t i = 0; i < share.size(); ++i) {
      for (std::size_t j = 0; j < k; ++j) next[i + j] += share[i] / static_cast<double>(k);
    }
    share = std::move(next);
  }
  double sum = 0;
  for (std::size_t i = 0; i < share.size() && static_cast<double>(i) <= at_most; ++i)
    sum += share[i];
  return std::min(sum, 1.0);
}

double NormalP(double score, double n, const Ties& x, const Ties& y) {
  double variance = (n * (n - 1) * (2 * n + 5) - x.v0 - y.v0) / 18;
  variance += x.v1 * y.v1 / (2 * n * (n - 1));
  if (n > 2) variance += x.v2 * y.v2 / (9 * n * (n - 1) * (n - 2));
  if (!(variance > 0)) return 1;
  return 2 * NormalCdf(-std::abs(score) / std::sqrt(variance));
}

std::vector<double> Ranks(std::span<const double> values) {
  Indices order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double middle = 0.5 * static_cast<double>(begin + end - 1);
    for (std::size_t k = begin; k < end; ++k) ranks[order[k]] = middle;
    begin = end;
  }
  return ranks;
}

// Sums of squares and products about the means.
struct Moments {
  double xx = 0, yy = 0, xy = 0;
};

Moments MomentsOf(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  const double x_mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double y_mean = std::accumulate(y.begin(), y.end(), 0.0) / n;
  Moments m;
  for (std::size_t i = 0; i < x.size(); ++i) {
    m.xx += (x[i] - x_mean) * (x[i] - x_mean);
    m.yy += (y[i] - y_mean) * (y[i] - y_mean);
    m.xy += (x[i] - x_mean) * (y[i] - y_mean);
  }
  return m;
}

double Correlation(std::span<const double> x, std::span<const double> y) {
  const Moments m = MomentsOf(x, y);
  return m.xx > 0 && m.yy > 0 ? std::clamp(m.xy / std::sqrt(m.xx * m.yy), -1.0, 1.0) : 0;
}

std::vector<double> Logs(std::span<const double> values) {
  std::vector<double> logs;
  for (const double value : values) logs.push_back(std::log(value));
  return logs;
}

bool AllPositive(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v > 0; });
}

// Least squares of ln y on ln scale and ln setting: slope of the first with its error.
void FillSlopes(std::span<const double> scale,
                std::span<const double> y,
                std::span<const double> setting,
                Confounder& result) {
  if (!AllPositive(y) || !AllPositive(setting) || scale.size() < 4) return;
  const std::vector<double> x = Logs(scale), z = Logs(setting), t = Logs(y);
  const Moments xz = MomentsOf(x, z), xt = MomentsOf(x, t), zt = MomentsOf(z, t);
  if (!(xt.xx > 0)) return;
  result.slope = xt.xy / xt.xx;
  const double determinant = xz.xx * xz.yy - xz.xy * xz.xy;
  if (!(determinant > 1e-9 * xz.xx * xz.yy)) return;
  const double slope = (xt.xy * xz.yy - zt.xy * xz.xy) / determinant;
  const double other = (zt.xy * xz.xx - xt.xy * xz.xy) / determinant;
  const double squares = std::max(xt.yy - slope * xt.xy - other * zt.xy, 0.0);
  result.slope_adjusted = slope;
  result.slope_error = std::sqrt(squares / static_cast<double>(x.size() - 3) * xz.yy / determinant);
}

// The scale that observables are expected to move along, and its name.
std::optional<std::pair<std::string, std::vector<double>>> ScaleOf(const PointTable& points) {
  for (const char* name : {"C", "x"}) {
    if (points.Has(name)) return std::pair(std::string(name), points.Column(name));
  }
  if (points.Has("N") && points.Has("D")) {
    std::vector<double> product = points.Column("N");
    for (std::size_t i = 0; i < product.size(); ++i) product[i] *= points.Column("D")[i];
    return std::pair(std::string("N*D"), std::move(product));
  }
  if (points.variables.size() == 1) return std::pair(points.variables[0], points.columns[0]);
  return std::nullopt;
}

std::string TrendWarning(const Trend& trend) {
  if (trend.n < kLeastForTrend || trend.p < kLevel) return "";
  return fmt::format(
      "no monotone trend along {} (Kendall's tau {:.2f}, p = {:.2g}): these points do not support "
      "a "
      "law",
      trend.along,
      trend.tau,
      trend.p);
}

std::string SeparabilityWarning(const Separability& s, bool hopeless) {
  if (!hopeless && std::abs(s.correlation) < kNearlyCollinear) return "";
  return fmt::format(
      "N and D are {} in this design (correlation of their logarithms {:.4f}, condition number "
      "{:.3g}, D/N spans a factor of {:.3g}): {}",
      hopeless ? "one variable" : "nearly collinear",
      s.correlation,
      s.condition,
      s.spread,
      hopeless ? "no separate intervals are given" : "what is size and what is data is a guess");
}

std::string ConfounderWarning(const Confounder& c) {
  if (c.p >= kLevel) return "";
  std::string text = fmt::format(
      "{} moves with compute (Spearman {:+.2f}, p = {:.2g}): part of the slope may be its doing",
      c.name,
      c.correlation,
      c.p);
  if (c.slope && c.slope_adjusted)
    text += fmt::format(
        "; over all points the slope is {:.4f} without it, {:.4f} ± {:.4f} with it beside",
        *c.slope,
        *c.slope_adjusted,
        *c.slope_error);
  return text;
}

}  // namespace

Trend KendallTrend(std::span<const double> x, std::span<const double> y) {
  Trend trend;
  trend.n = x.size();
  if (trend.n < 2) return trend;
  Indices order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b];
  });
  const Ties ties_x = CountTies(order, [&](auto a, auto b) { return x[a] == x[b]; });
  const Ties both = CountTies(order, [&](auto a, auto b) { return x[a] == x[b] && y[a] == y[b]; });
  std::vector<double> values;
  for (const std::size_t i : order) values.push_back(y[i]);
  std::vector<double> buffer(values.size());
  const double discordant = SortCounting(values, buffer, 0, values.size());
  Indices by_y(values.size());
  std::iota(by_y.begin(), by_y.end(), 0);
  const Ties ties_y = CountTies(by_y, [&](auto a, auto b) { return values[a] == values[b]; });
  const auto n = static_cast<double>(trend.n);
  const double pairs = n * (n - 1) / 2;
  const double score = pairs - ties_x.pairs - ties_y.pairs + both.pairs - 2 * discordant;
  const double scale = std::sqrt((pairs - ties_x.pairs) * (pairs - ties_y.pairs));
  trend.tau = scale > 0 ? score / scale : 0;
  if (ties_x.pairs == 0 && ties_y.pairs == 0 && trend.n <= kExactUpTo) {
    trend.p = std::min(1.0, 2 * InversionsCdf(trend.n, std::min(discordant, pairs - discordant)));
  } else {
    trend.p = NormalP(score, n, ties_x, ties_y);
  }
  return trend;
}

Separability SeparabilityOf(std::span<const double> n, std::span<const double> d) {
  Separability s;
  s.correlation = Correlation(Logs(n), Logs(d));
  const double r = std::abs(s.correlation);
  s.condition = std::sqrt((1 + r) / (1 - r));
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  for (std::size_t i = 0; i < n.size(); ++i) {
    least = std::min(least, d[i] / n[i]);
    most = std::max(most, d[i] / n[i]);
  }
  s.spread = most / least;
  return s;
}

Confounder ConfounderOf(const std::string& name,
                        std::span<const double> scale,
                        std::span<const double> y,
                        std::span<const double> setting) {
  Confounder result{.name = name};
  result.correlation = Correlation(Ranks(scale), Ranks(setting));
  const double degrees = static_cast<double>(scale.size()) - 2;
  const double r = result.correlation;
  if (degrees > 0) {
    result.p = std::abs(r) < 1 ? StudentTwoSided(r * std::sqrt(degrees / (1 - r * r)), degrees)
               : scale.size() >= kLeastForTrend ? 0
                                                : 1;
  }
  FillSlopes(scale, y, setting, result);
  return result;
}

std::vector<std::string> Guards::Warnings() const {
  std::vector<std::string> warnings;
  const auto add = [&](std::string text) {
    if (!text.empty()) warnings.push_back(std::move(text));
  };
  if (trend) add(TrendWarning(*trend));
  if (separability) add(SeparabilityWarning(*separability, Inseparable()));
  for (const Confounder& confounder : confounders) add(ConfounderWarning(confounder));
  return warnings;
}

bool Guards::Inseparable() const {
  return separability && (std::abs(separability->correlation) > kHopelessCorrelation ||
                          separability->spread < kHopelessSpread);
}

Guards InspectPoints(const PointTable& points) {
  Guards guards;
  const auto scale = ScaleOf(points);
  if (scale) {
    guards.trend = KendallTrend(scale->second, points.y);
    guards.trend->along = scale->first;
    for (const Covariate& covariate : points.covariates)
      guards.confounders.push_back(
          ConfounderOf(covariate.name, scale->second, points.y, covariate.values));
  }
  if (points.Has("N") && points.Has("D"))
    guards.separability = SeparabilityOf(points.Column("N"), points.Column("D"));
  return guards;
}

Json ToJson(const Guards& guards) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  const auto finite = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
  Json json = {{"trend", nullptr}, {"separability", nullptr}, {"confounders", Json::array()}};
  if (guards.trend) {
    json["trend"] = {{"along", guards.trend->along},
                     {"kendall_tau", guards.trend->tau},
                     {"p", guards.trend->p},
                     {"n", guards.trend->n}};
  }
  if (guards.separability) {
    json["separability"] = {{"correlation", guards.separability->correlation},
                            {"condition_number", finite(guards.separability->condition)},
                            {"data_per_parameter_spread", finite(guards.separability->spread)}};
  }
  for (const Confounder& c : guards.confounders) {
    json["confounders"].push_back({{"name", c.name},
                                   {"spearman", c.correlation},
                                   {"p", c.p},
                                   {"slope", or_null(c.slope)},
                                   {"slope_adjusted", or_null(c.slope_adjusted)},
                                   {"slope_error", or_null(c.slope_error)}});
  }
  return json;
}

}  // namespace sweep
