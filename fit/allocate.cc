#include "fit/allocate.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/failure.h"
#include "fit/intervals.h"
#include "fit/line.h"
#include "fit/predict.h"
#include "fit/problem.h"
#include "fit/search.h"
#include "fit/sequences.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;

constexpr double kWidestBudget = 0.25;  // in ln C: beyond it neighbours only chain up
constexpr double kSameBudget = 0.1;     // in ln C
constexpr std::size_t kLeastSizes = 4;  // of a parabola: three would pass through it
constexpr std::size_t kEnvelopeGrid = 1500;
constexpr std::size_t kLeastDraws = 20;
constexpr double kRuleTolerance = 1.2;
enum { kE, kA, kB, kAlpha, kBeta };  // parameters of chinchilla

// Points with their compute filled in.
struct Runs {
  std::vector<double> n, d, c, y;
};

ComputeRule FindRule(const PointTable& points) {
  ComputeRule rule;
  if (!points.Has("C")) return rule;
  std::vector<double> x, z;
  for (std::size_t i = 0; i < points.size(); ++i) {
    x.push_back(std::log(points.Column("N")[i]));
    z.push_back(std::log(points.Column("C")[i] / points.Column("D")[i]));
  }
  const Line line = FitLine(x, z);
  if (!std::isfinite(line.slope)) return rule;
  rule.m = line.slope;
  rule.k = std::exp(line.intercept);
  double low = 0, high = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    low = std::min(low, z[i] - line.At(x[i]));
    high = std::max(high, z[i] - line.At(x[i]));
  }
  rule.spread = std::exp(high - low);
  return rule;
}

Runs RunsOf(const PointTable& points, const ComputeRule& rule) {
  Runs runs{points.Column("N"), points.Column("D"), {}, points.y};
  for (std::size_t i = 0; i < points.size(); ++i)
    runs.c.push_back(points.Has("C") ? points.Column("C")[i] : rule.Compute(runs.n[i], runs.d[i]));
  return runs;
}

std::optional<AllocationLine> LineThrough(const std::vector<Optimum>& optima) {
  std::vector<double> x, z;
  for (const Optimum& optimum : optima) {
    x.push_back(std::log(optimum.c));
    z.push_back(std::log(optimum.n));
  }
  if (x.size() < 2) return std::nullopt;
  const Line line = FitLine(x, z);
  if (!std::isfinite(line.slope)) return std::nullopt;
  return AllocationLine{line.intercept, line.slope};
}

// ---- parametric ----

AllocationLine LineOfLaw(const std::vector<double>& inner, const ComputeRule& rule) {
  const double alpha = inner[kAlpha], beta = inner[kBeta];
  const double sum = alpha + rule.m * beta;
  const double log_g = (std::log(alpha) + inner[kA] - std::log(rule.m * beta) - inner[kB] -
                        beta * std::log(rule.k)) /
                       sum;
  return {log_g, beta / sum};
}

AllocationApproach Parametric(const PointTable& points,
                              const FitOptions& options,
                              const ComputeRule& rule,
                              Allocation& allocation) {
  AllocationApproach approach{.name = "parametric"};
  PointTable own = points;
  if (points.Has("C")) {
    own.variables = {"N", "D"};
    own.columns = {points.Column("N"), points.Column("D")};
  }
  FitOptions fit = options;
  fit.law = "chinchilla";
  fit.select = {};
  fit.intervals = {.kind = IntervalKind::kNone};
  try {
    FitReport report = Fit(own, fit);
    const std::vector<double> best = report.linearisation.inner;
    approach.line = LineOfLaw(best, rule);
    if (!std::isfinite(approach.line.exponent) || !std::isfinite(approach.line.log_g))
      approach.failure = "the law has no optimum: one of its parts vanished";
    fit.start.clear();
    const Problem problem = MakeProblem(own, FindLaw("chinchilla"), fit);
    SearchResult found;
    found.best = {.inner = best, .objective = report.objective};
    found.box = problem.box;
    Intervals how = options.intervals;
    how.kind = IntervalKind::kBootstrap;
    for (const std::vector<double>& draw :
         BootstrapLimits(problem, own, found, fit, how).estimates) {
      const AllocationLine line = LineOfLaw(draw, rule);
      if (std::isfinite(line.exponent) && std::isfinite(line.log_g)) approach.draws.push_back(line);
    }
    allocation.law = std::move(report);
  } catch (const Failure& failure) {
    if (failure.code() != FailureCode::kData) throw;
    approach.failure = failure.what();
  }
  return approach;
}

// ---- iso-FLOP ----

// Points of one budget each, by growing compute.
std::vector<Indices> Budgets(const Runs& runs) {
  Indices order(runs.c.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return runs.c[a] < runs.c[b]; });
  std::vector<Indices> budgets;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const bool far = k == 0 || std::log(runs.c[order[k]] / runs.c[order[k - 1]]) > kSameBudget;
    if (far) budgets.emplace_back();
    budgets.back().push_back(order[k]);
  }
  return budgets;
}

struct Vertex {
  std::optional<Optimum> optimum = {};
  std::string why_not = {};
};

// The minimum of the parabola of y over ln N through the points of one budget.
Vertex MinimumOf(const Runs& runs, const Indices& members, const ComputeRule& rule) {
  std::map<double, std::size_t> sizes;
  double log_c = 0;
  const auto [least, most] = std::minmax_element(
      members.begin(), members.end(), [&](auto a, auto b) { return runs.c[a] < runs.c[b]; });
  if (std::log(runs.c[*most] / runs.c[*least]) > kWidestBudget)
    return {{},
            fmt::format(
                "no one budget: computes from {:.3g} to {:.3g}", runs.c[*least], runs.c[*most])};
  for (const std::size_t i : members) {
    ++sizes[runs.n[i]];
    log_c += std::log(runs.c[i]) / static_cast<double>(members.size());
  }
  if (sizes.size() < kLeastSizes)
    return {{}, fmt::format("{} sizes, a parabola needs four", sizes.size())};
  const double middle = 0.5 * std::log(sizes.begin()->first * sizes.rbegin()->first);
  Eigen::MatrixXd design(static_cast<Eigen::Index>(members.size()), 3);
  Eigen::VectorXd target(static_cast<Eigen::Index>(members.size()));
  for (Eigen::Index r = 0; r < target.size(); ++r) {
    const std::size_t i = members[static_cast<std::size_t>(r)];
    const double x = std::log(runs.n[i]) - middle;
    design.row(r) << 1, x, x * x;
    target(r) = runs.y[i];
  }
  const Eigen::Vector3d p = design.colPivHouseholderQr().solve(target);
  if (!(p(2) > 0)) return {{}, "the parabola has no minimum"};
  const double n = std::exp(middle - 0.5 * p(1) / p(2));
  if (n < sizes.begin()->first || n > sizes.rbegin()->first)
    return {{}, fmt::format("the minimum ({:.3g}) lies beyond the sizes trained", n)};
  const double c = std::exp(log_c);
  return {Optimum{c, n, rule.Data(c, n)}, ""};
}

std::vector<Optimum> MinimaOf(const Runs& runs,
                              const std::vector<Indices>& budgets,
                              const ComputeRule& rule,
                              std::vector<ExcludedPoint>* excluded) {
  std::vector<Optimum> optima;
  for (const Indices& members : budgets) {
    const Vertex vertex = MinimumOf(runs, members, rule);
    if (vertex.optimum) optima.push_back(*vertex.optimum);
    if (!vertex.optimum && excluded)
      excluded->push_back({fmt::format("budget {:.3g}", runs.c[members.front()]), vertex.why_not});
  }
  return optima;
}

AllocationApproach IsoFlop(const Runs& runs, const FitOptions& options, const ComputeRule& rule) {
  AllocationApproach approach{.name = "isoflop"};
  const std::vector<Indices> budgets = Budgets(runs);
  approach.optima = MinimaOf(runs, budgets, rule, &approach.excluded);
  const std::optional<AllocationLine> line = LineThrough(approach.optima);
  if (!line) {
    approach.failure = fmt::format("{} of {} budgets have a minimum; a line needs two",
                                   approach.optima.size(),
                                   budgets.size());
    return approach;
  }
  approach.line = *line;
  for (int r = 0; r < options.intervals.resamples; ++r) {
    Random random(options.seed, static_cast<std::uint64_t>(r));
    std::vector<Indices> drawn = budgets;
    for (std::size_t b = 0; b < drawn.size(); ++b) {
      for (std::size_t& i : drawn[b]) i = budgets[b][random.Index(budgets[b].size())];
    }
    if (const auto resampled = LineThrough(MinimaOf(runs, drawn, rule, nullptr)))
      approach.draws.push_back(*resampled);
  }
  return approach;
}

// ---- envelope ----

// One size's observable over compute, by growing compute; the lowest of equal computes.
struct SizeCurve {
  double n = 0;
  std::vector<double> log_c, log_y;

  // Interpolated in logarithms; nothing outside.
  [[nodiscard]] std::optional<double> At(double x) const {
    if (x < log_c.front() || x > log_c.back()) return std::nullopt;
    const auto above = std::upper_bound(log_c.begin(), log_c.end(), x);
    if (above == log_c.end()) return log_y.back();
    const auto k = static_cast<std::size_t>(above - log_c.begin());
    if (k == 0) return log_y.front();
    const double part = (x - log_c[k - 1]) / (log_c[k] - log_c[k - 1]);
    return log_y[k - 1] + part * (log_y[k] - log_y[k - 1]);
  }
};

std::vector<SizeCurve> CurvesBySize(const Runs& runs) {
  std::map<double, std::map<double, double>> sizes;
  for (std::size_t i = 0; i < runs.n.size(); ++i) {
    const double y = std::log(runs.y[i]);
    const auto [found, added] = sizes[runs.n[i]].try_emplace(std::log(runs.c[i]), y);
    if (!added) found->second = std::min(found->second, y);
  }
  std::vector<SizeCurve> curves;
  for (const auto& [n, points] : sizes) {
    if (points.size() < 2) continue;
    curves.push_back({.n = n, .log_c = {}, .log_y = {}});
    for (const auto& [c, y] : points) {
      curves.back().log_c.push_back(c);
      curves.back().log_y.push_back(y);
    }
  }
  return curves;
}

// The lowest curve at each compute where two or more can be compared and neither the smallest nor
// the largest of the design is it.
std::vector<Optimum> Envelope(const std::vector<SizeCurve>& curves,
                              const Indices& members,
                              const ComputeRule& rule) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  double smallest = low, largest = 0;
  for (const std::size_t s : members) {
    low = std::min(low, curves[s].log_c.front());
    high = std::max(high, curves[s].log_c.back());
    smallest = std::min(smallest, curves[s].n);
    largest = std::max(largest, curves[s].n);
  }
  std::vector<Optimum> optima;
  for (std::size_t g = 0; g < kEnvelopeGrid; ++g) {
    const double x =
        low + (high - low) * static_cast<double>(g) / static_cast<double>(kEnvelopeGrid - 1);
    double best = std::numeric_limits<double>::infinity();
    double n = 0;
    std::size_t compared = 0;
    for (const std::size_t s : members) {
      const std::optional<double> y = curves[s].At(x);
      if (y) ++compared;
      if (!y || *y >= best) continue;
      best = *y;
      n = curves[s].n;
    }
    if (compared < 2 || n == smallest || n == largest) continue;
    optima.push_back({std::exp(x), n, rule.Data(std::exp(x), n)});
  }
  return optima;
}

bool ManySizes(const std::vector<Optimum>& optima) {
  return std::any_of(
      optima.begin(), optima.end(), [&](const Optimum& o) { return o.n != optima.front().n; });
}

AllocationApproach EnvelopeOfCurves(const Runs& runs,
                                    const FitOptions& options,
                                    const ComputeRule& rule) {
  AllocationApproach approach{.name = "envelope"};
  const std::vector<SizeCurve> curves = CurvesBySize(runs);
  Indices all(curves.size());
  std::iota(all.begin(), all.end(), 0);
  if (curves.size() >= kLeastSizes) approach.optima = Envelope(curves, all, rule);
  const std::optional<AllocationLine> line =
      ManySizes(approach.optima) ? LineThrough(approach.optima) : std::nullopt;
  if (!line) {
    approach.failure = fmt::format(
        "{} sizes have a curve of two computes or more, and two sizes between the smallest and the "
        "largest must each be the lowest somewhere",
        curves.size());
    return approach;
  }
  approach.line = *line;
  approach.excluded.push_back(
      {fmt::format("sizes {:.3g} and {:.3g}", curves.front().n, curves.back().n),
       "where the smallest or the largest is the lowest the best may lie beyond"});
  for (int r = 0; r < options.intervals.resamples; ++r) {
    Random random(options.seed, static_cast<std::uint64_t>(r));
    Indices drawn;
    for (std::size_t k = 0; k < all.size(); ++k) drawn.push_back(random.Index(all.size()));
    const std::vector<Optimum> optima = Envelope(curves, drawn, rule);
    if (!ManySizes(optima)) continue;
    if (const auto resampled = LineThrough(optima)) approach.draws.push_back(*resampled);
  }
  return approach;
}

// ---- together ----

// The same points with the parametric law's own values: what an approach finds there, it finds
// without any noise.
void FillDesignBias(const Runs& runs, const FitReport& law, Allocation& allocation) {
  Runs exact = runs;
  for (std::size_t i = 0; i < exact.y.size(); ++i)
    exact.y[i] = Predict(law, {{"N", exact.n[i]}, {"D", exact.d[i]}}).value;
  FitOptions none;
  none.intervals.resamples = 0;
  const double truth = allocation.approaches.front().line.exponent;
  for (AllocationApproach& approach : allocation.approaches) {
    if (approach.name == "parametric" || !approach.failure.empty()) continue;
    const AllocationApproach again = approach.name == "isoflop"
                                         ? IsoFlop(exact, none, allocation.rule)
                                         : EnvelopeOfCurves(exact, none, allocation.rule);
    if (!again.failure.empty()) continue;
    approach.design_bias = again.line.exponent - truth;
    double x = 0;
    for (const Optimum& optimum : again.optima)
      x += std::log(optimum.c) / static_cast<double>(again.optima.size());
    const AllocationLine& law_line = allocation.approaches.front().line;
    approach.design_factor =
        std::exp(again.line.log_g - law_line.log_g + *approach.design_bias * x);
  }
}

}  // namespace

double ComputeRule::Data(double c, double n) const {
  return c / (k * std::pow(n, m));
}

double ComputeRule::Compute(double n, double d) const {
  return k * std::pow(n, m) * d;
}

Allocation Allocate(const PointTable& points, const FitOptions& options) {
  CheckPoints(points);
  Allocation allocation;
  allocation.level = options.level;
  allocation.rule = FindRule(points);
  if (allocation.rule.spread > kRuleTolerance) {
    allocation.warnings.push_back(fmt::format(
        "compute is not a power of size times data: points lie within a factor of {:.3g} "
        "of C = {:.3g} N^{:.3g} D",
        allocation.rule.spread,
        allocation.rule.k,
        allocation.rule.m));
  }
  const Runs runs = RunsOf(points, allocation.rule);
  allocation.approaches.push_back(Parametric(points, options, allocation.rule, allocation));
  allocation.approaches.push_back(IsoFlop(runs, options, allocation.rule));
  allocation.approaches.push_back(EnvelopeOfCurves(runs, options, allocation.rule));
  if (allocation.law && allocation.approaches.front().failure.empty())
    FillDesignBias(runs, *allocation.law, allocation);
  if (allocation.law) {
    for (const std::string& warning : allocation.law->warnings)
      allocation.warnings.push_back("parametric: " + warning);
  }
  return allocation;
}

ExponentInterval ExponentIntervalOf(const AllocationApproach& approach, double level) {
  if (approach.draws.size() < kLeastDraws) return {};
  std::vector<double> exponents;
  exponents.reserve(approach.draws.size());
  for (const AllocationLine& draw : approach.draws) exponents.push_back(draw.exponent);
  std::sort(exponents.begin(), exponents.end());
  return {SampleQuantile(exponents, 0.5 * (1 - level)),
          SampleQuantile(exponents, 0.5 * (1 + level))};
}

AllocationTarget TargetOf(const Allocation& allocation,
                          const AllocationApproach& approach,
                          double budget) {
  const double x = std::log(budget);
  AllocationTarget target{.budget = budget};
  target.n = std::exp(approach.line.log_g + approach.line.exponent * x);
  target.d = allocation.rule.Data(budget, target.n);
  if (allocation.law)
    target.loss = Predict(*allocation.law, {{"N", target.n}, {"D", target.d}}).value;
  if (approach.draws.size() < kLeastDraws) return target;
  std::vector<double> sizes;
  sizes.reserve(approach.draws.size());
  for (const AllocationLine& draw : approach.draws)
    sizes.push_back(std::exp(draw.log_g + draw.exponent * x));
  std::sort(sizes.begin(), sizes.end());
  target.n_low = SampleQuantile(sizes, 0.5 * (1 - allocation.level));
  target.n_high = SampleQuantile(sizes, 0.5 * (1 + allocation.level));
  target.d_low = allocation.rule.Data(budget, *target.n_high);
  target.d_high = allocation.rule.Data(budget, *target.n_low);
  return target;
}

namespace {

Json OrNull(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json ApproachJson(const Allocation& allocation,
                  const AllocationApproach& approach,
                  const std::vector<double>& budgets) {
  Json json = {{"name", approach.name}, {"failure", approach.failure}};
  json["excluded"] = Json::array();
  for (const ExcludedPoint& point : approach.excluded)
    json["excluded"].push_back({{"point", point.label}, {"reason", point.reason}});
  if (!approach.failure.empty()) return json;
  const double m = allocation.rule.m;
  const ExponentInterval interval = ExponentIntervalOf(approach, allocation.level);
  const auto of_data = [m](const std::optional<double>& a) {
    return a ? std::optional<double>(1 - m * *a) : std::nullopt;
  };
  json["exponent_n"] = {{"value", approach.line.exponent},
                        {"low", OrNull(interval.low)},
                        {"high", OrNull(interval.high)}};
  json["exponent_d"] = {{"value", 1 - m * approach.line.exponent},
                        {"low", OrNull(of_data(interval.high))},
                        {"high", OrNull(of_data(interval.low))}};
  json["coefficient_n"] = std::exp(approach.line.log_g);
  json["resamples"] = approach.draws.size();
  json["design_bias"] = OrNull(approach.design_bias);
  json["design_factor"] = OrNull(approach.design_factor);
  json["optima"] = approach.optima.size();
  json["targets"] = Json::array();
  for (const double budget : budgets) {
    const AllocationTarget t = TargetOf(allocation, approach, budget);
    json["targets"].push_back(
        {{"budget", t.budget},
         {"N", {{"value", t.n}, {"low", OrNull(t.n_low)}, {"high", OrNull(t.n_high)}}},
         {"D", {{"value", t.d}, {"low", OrNull(t.d_low)}, {"high", OrNull(t.d_high)}}},
         {"data_per_parameter", t.d / t.n},
         {"loss", OrNull(t.loss)}});
  }
  return json;
}

}  // namespace

Json ToJson(const Allocation& allocation, const std::vector<double>& budgets) {
  Json approaches = Json::array();
  for (const AllocationApproach& approach : allocation.approaches)
    approaches.push_back(ApproachJson(allocation, approach, budgets));
  return {
      {"schema", "sweep.allocate/1"},
      {"compute_rule",
       {{"k", allocation.rule.k}, {"m", allocation.rule.m}, {"spread", allocation.rule.spread}}},
      {"level", allocation.level},
      {"approaches", approaches},
      {"law", allocation.law ? ToJson(*allocation.law) : Json(nullptr)},
      {"warnings", allocation.warnings}};
}

}  // namespace sweep
