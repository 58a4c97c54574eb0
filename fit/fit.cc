#include "fit/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/failure.h"
#include "core/hash.h"
#include "fit/choose.h"
#include "fit/intervals.h"
#include "fit/linearise.h"
#include "fit/parallel.h"
#include "fit/problem.h"
#include "fit/search.h"
#include "fit/select.h"

namespace sweep {
namespace {

constexpr double kHopelessCondition = 1e8;
constexpr double kPoorCondition = 1e4;
constexpr std::size_t kFewPoints = 10;

template <class Map>
Json NaturalJson(const Map& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) object[name] = fmt::format("{}", value);
  return object;
}

// What makes this fit this fit: points as their exact bits, law, and every option that can change a
// number.
std::string FitId(const PointTable& points, const Law& law, const FitOptions& options) {
  std::string bytes;
  const auto append = [&](const std::vector<double>& values) {
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  };
  for (const auto& column : points.columns) append(column);
  append(points.y);
  append(points.weights);
  Json bounds = Json::object();
  for (const auto& [name, range] : options.bounds) {
    bounds[name] = fmt::format("{}:{}", range.lower, range.upper);
  }
  return ContentId({{"points", Sha256Hex(bytes)},
                    {"variables", points.variables},
                    {"observable", points.observable},
                    {"law", law.name},
                    {"formula", law.formula},
                    {"select", ToString(options.select)},
                    {"residual", ToString(options.residual.value_or(law.residual))},
                    {"loss", ToString(options.loss)},
                    {"fix", NaturalJson(options.fix)},
                    {"bounds", bounds},
                    {"constants", NaturalJson(ResolveConstants(law, options.constants))},
                    {"start", NaturalJson(options.start)},
                    {"starts", options.starts},
                    {"grid", options.grid},
                    {"race", options.race},
                    {"seed", options.seed},
                    {"intervals", ToString(options.intervals)},
                    {"level", fmt::format("{}", options.level)}});
}

bool IsLogLogLine(const Problem& problem) {
  return problem.law->name == "power" && problem.space == Residual::kLog &&
         problem.loss.kind == LossKind::kSquared;
}

// The methods whose coverage is right by simulation (docs/fitting.md): t for the straight line,
// profile for other laws, resampling with a new selection where points were selected, and for least
// absolute deviations.
Intervals ChooseIntervals(const Problem& problem, const FitOptions& options) {
  Intervals chosen = options.intervals;
  if (chosen.kind != IntervalKind::kAuto) return chosen;
  const bool selected = options.select.kind != SelectKind::kAll;
  if (selected || problem.loss.kind == LossKind::kLad) {
    chosen.kind = IntervalKind::kBootstrap;
  } else {
    chosen.kind = IsLogLogLine(problem) ? IntervalKind::kStudent : IntervalKind::kProfile;
  }
  return chosen;
}

std::vector<Limits> BootstrapWithWarnings(const Problem& problem,
                                          const PointTable& original,
                                          const SearchResult& found,
                                          const FitOptions& options,
                                          FitReport& report) {
  const BootstrapResult result =
      BootstrapLimits(problem, original, found, options, report.intervals);
  const std::size_t n = original.size();
  if (n <= 3) {
    report.warnings.push_back(
        fmt::format("resampling {} points allows at most {} draws and understates the uncertainty "
                    "many times: use t",
                    n,
                    std::lround(std::pow(n, n))));
  } else if (n <= kFewPoints) {
    report.warnings.push_back(fmt::format("bootstrap intervals of {} points are too short", n));
  }
  if (!found.vanished.empty()) {
    report.warnings.push_back(
        "bootstrap intervals beside a parameter at its bound are too short: use profile");
  }
  if (result.failed > 0) {
    report.warnings.push_back(fmt::format("{} of {} resamples could not be fitted and are left out",
                                          result.failed,
                                          report.intervals.resamples));
  }
  return result.limits;
}

// Intervals by the chosen method. A profile that meets a better optimum sends the search there, and
// begins again.
std::vector<Limits> MakeLimits(const Problem& problem,
                               const PointTable& original,
                               const FitOptions& options,
                               SearchResult& found,
                               FitReport& report) {
  switch (report.intervals.kind) {
    case IntervalKind::kStudent:
    case IntervalKind::kDelta:
      return StudentLimits(problem, report.linearisation, options.level);
    case IntervalKind::kBootstrap:
      return BootstrapWithWarnings(problem, original, found, options, report);
    case IntervalKind::kProfile:
      break;
    default:
      return std::vector<Limits>(problem.parameters());
  }
  for (int round = 0; round < 3; ++round) {
    ProfileResult profile = ProfileLimits(problem, found, report.linearisation, options.level);
    if (!profile.better) return std::move(profile.limits);
    AdoptBetter(problem, *profile.better, found);
    report.linearisation = Linearise(problem, found.best.inner, found.box.held);
    report.warnings.push_back(
        "the objective has several optima: a profile met a better one than the starts");
  }
  return std::vector<Limits>(problem.parameters());
}

void FillEstimates(const Problem& problem,
                   const SearchResult& found,
                   const std::vector<Limits>& limits,
                   FitReport& report) {
  report.estimates.clear();
  for (std::size_t k = 0; k < problem.parameters(); ++k) {
    const Parameter& parameter = problem.law->parameters[k];
    report.estimates.push_back({.name = parameter.name,
                                .value = ToNatural(parameter, found.best.inner[k]),
                                .low = limits[k].low,
                                .high = limits[k].high,
                                .fixed = problem.box.held[k]});
  }
}

void FillActiveBounds(const Problem& problem, const SearchResult& found, FitReport& report) {
  for (const std::size_t k : found.vanished) {
    report.active_bounds.push_back(problem.law->parameters[k].name + " = 0");
  }
  for (std::size_t k = 0; k < problem.parameters(); ++k) {
    const double inner = found.best.inner[k];
    if (found.box.held[k]) continue;
    if (inner != found.box.lower[k] && inner != found.box.upper[k]) continue;
    const Parameter& parameter = problem.law->parameters[k];
    report.active_bounds.push_back(
        fmt::format("{} = {}", parameter.name, ToNatural(parameter, inner)));
  }
}

void FillRSquared(const Problem& problem, const SearchResult& found, FitReport& report) {
  if (problem.loss.kind != LossKind::kSquared) return;
  double weight = 0;
  double mean = 0;
  for (std::size_t i = 0; i < problem.target.size(); ++i) {
    weight += problem.points.Weight(i);
    mean += problem.points.Weight(i) * problem.target[i];
  }
  mean /= weight;
  double total = 0;
  for (std::size_t i = 0; i < problem.target.size(); ++i) {
    total += problem.points.Weight(i) * (problem.target[i] - mean) * (problem.target[i] - mean);
  }
  if (total > 0) report.r_squared = 1 - 2 * found.best.objective / total;
}

void WarnOfWeakness(const Problem& problem, FitReport& report) {
  if (problem.degrees() <= 0) {
    report.warnings.push_back(
        fmt::format("as many points as parameters ({}): the law passes through all of them and "
                    "nothing is left to judge it by",
                    problem.free_parameters()));
  }
  if (!report.condition_number || *report.condition_number > kHopelessCondition) {
    report.warnings.push_back(
        "these points cannot tell the parameters apart: separate intervals mean nothing");
  } else if (*report.condition_number > kPoorCondition) {
    report.warnings.push_back(
        fmt::format("the parameters are hard to tell apart (condition number {:.2g})",
                    *report.condition_number));
  }
  if (!problem.law->parameters.empty() && problem.law->parameters.back().name == "alpha" &&
      problem.law->variables.front() == "C" && report.At("alpha").value >= 0) {
    report.warnings.push_back("no power law: the observable does not fall with C (alpha >= 0)");
  }
}

void FillRanges(const Problem& problem, FitReport& report) {
  for (const std::string& name : problem.law->variables) {
    const std::vector<double>& column = problem.points.Column(name);
    const auto [low, high] = std::minmax_element(column.begin(), column.end());
    report.ranges[name] = {*low, *high};
  }
}

void FillDerived(const Problem& problem, FitReport& report) {
  if (!problem.law->derived) return;
  std::vector<double> natural;
  for (const Estimate& estimate : report.estimates) natural.push_back(estimate.value);
  for (const auto& [name, value] :
       problem.law->derived(problem.points, natural, problem.constants)) {
    if (std::isfinite(value)) report.derived[name] = value;
  }
}

void AppendSearch(const SearchResult& found, FitReport& report) {
  report.objective = found.best.objective;
  report.starts = found.starts;
  report.starts_polished = found.polished;
  report.starts_at_best = found.at_best;
  report.stopped = found.stopped;
}

// Without the points that no choice of parameters could meet better or worse.
Selected Informative(const PointTable& points, const Law& law, const Constants& constants) {
  Selected result{.points = points, .excluded = {}};
  if (!law.says_nothing) return result;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (law.says_nothing(points, i, constants)) {
      result.excluded.push_back(
          {points.Label(i), "the law has the same value there whatever its parameters"});
    } else {
      kept.push_back(i);
    }
  }
  result.points = points.Subset(kept);
  return result;
}

// Names for points that have none, so that a selection's reports keep the numbers of the table.
PointTable Labelled(PointTable points) {
  if (!points.labels.empty()) return points;
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < points.size(); ++i) labels.push_back(points.Label(i));
  points.labels = std::move(labels);
  return points;
}

Selected SelectPoints(const PointTable& points, const Law& law, const FitOptions& options) {
  for (const std::string& variable : law.variables) (void)points.Column(variable);
  Selected informative = Informative(points, law, ResolveConstants(law, options.constants));
  Selected selected =
      Select(informative.points, options.select, points.Has("C") ? "C" : law.variables.front());
  selected.excluded.insert(
      selected.excluded.begin(), informative.excluded.begin(), informative.excluded.end());
  return selected;
}

}  // namespace

FitReport FitLaw(const PointTable& given, const Law& law, const FitOptions& options) {
  CheckPoints(given);
  const PointTable points = Labelled(given);
  Selected selected = SelectPoints(points, law, options);
  const Problem problem = MakeProblem(std::move(selected.points), law, options);
  FitReport report;
  report.id = FitId(points, law, options);
  report.law = law.name;
  report.formula = law.formula;
  report.n = problem.points.size();
  report.residual = problem.space;
  report.loss = problem.loss;
  report.select = options.select;
  report.level = options.level;
  report.constants = problem.constants;
  report.excluded = std::move(selected.excluded);
  report.warnings = DuplicateWarnings(points);
  report.intervals = ChooseIntervals(problem, options);
  SearchResult found = Search(problem, options);
  report.linearisation = Linearise(problem, found.best.inner, found.box.held);
  const std::vector<Limits> limits = MakeLimits(problem, points, options, found, report);
  FillEstimates(problem, found, limits, report);
  AppendSearch(found, report);
  FillActiveBounds(problem, found, report);
  FillRSquared(problem, found, report);
  FillRanges(problem, report);
  FillDerived(problem, report);
  report.condition_number = ConditionNumber(problem, found.best.inner, found.box.held);
  WarnOfWeakness(problem, report);
  return report;
}

FitReport Fit(const PointTable& points, const FitOptions& options) {
  if (options.law == "auto") return FitChosenLaw(points, options);
  return FitLaw(points, FindLaw(options.law), options);
}

std::vector<FitOutcome> FitAll(const std::vector<PointTable>& tables, const FitOptions& options) {
  std::vector<FitOutcome> outcomes(tables.size());
  FitOptions one = options;
  if (tables.size() > 1) one.threads = 1;  // the tables are the parallel work
  ParallelFor(tables.size(), options.threads, [&](std::size_t i) {
    try {
      outcomes[i].report = Fit(tables[i], one);
    } catch (const Failure& failure) {
      if (failure.code() != FailureCode::kData) throw;
      outcomes[i].failure = failure.what();
    }
  });
  return outcomes;
}

}  // namespace sweep
