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
constexpr double kFewDegrees = 3;
constexpr std::size_t kEnoughStarts = 10;  // finished starts from which a share means something
constexpr std::size_t kFewAtBest = 10;  // one in so many at the best: the objective is multimodal

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
  append(points.sample_sizes);
  Json bounds = Json::object();
  for (const auto& [name, range] : options.bounds) {
    bounds[name] = fmt::format("{}:{}", range.lower, range.upper);
  }
  Json identity = {{"points", Sha256Hex(bytes)},
                   {"variables", points.variables},
                   {"observable", points.observable},
                   {"law", law.name},
                   {"formula", law.formula},
                   {"select", ToString(options.select)},
                   {"residual", ToString(*options.residual)},
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
                   {"level", fmt::format("{}", options.level)}};
  if (options.weighting != Weighting::kGiven) identity["weighting"] = ToString(options.weighting);
  if (options.seeds != Seeds::kPooled) identity["seeds"] = ToString(options.seeds);
  if (options.chance) identity["chance"] = fmt::format("{}", *options.chance);
  return ContentId(identity);
}

bool IsLogLogLine(const Problem& problem) {
  return problem.law->name == "power" && problem.space == Residual::kLog &&
         problem.loss.kind == LossKind::kSquared;
}

bool AnyAtBound(const SearchResult& found) {
  for (std::size_t k = 0; k < found.best.inner.size(); ++k) {
    if (IsAtBound(found.box, k, found.best.inner)) return true;
  }
  return false;
}

// The methods whose coverage is right by simulation (docs/fitting.md): t for the straight line,
// profile for other laws and beside a bound, resampling with a new selection where points were
// selected, and for least absolute deviations.
Intervals ChooseIntervals(const Problem& problem,
                          const SearchResult& found,
                          const FitOptions& options) {
  Intervals chosen = options.intervals;
  if (chosen.kind != IntervalKind::kAuto) return chosen;
  const bool selected = options.select.kind != SelectKind::kAll;
  if (selected || problem.loss.kind == LossKind::kLad) {
    chosen.kind = IntervalKind::kBootstrap;
  } else {
    const bool exact = IsLogLogLine(problem) && !AnyAtBound(found);
    chosen.kind = exact ? IntervalKind::kStudent : IntervalKind::kProfile;
  }
  return chosen;
}

LimitsOfFit BootstrapWithWarnings(const Problem& problem,
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
  if (result.estimates.size() < kFewResamples) {
    report.warnings.push_back(
        fmt::format("{} resamples are too few for limits: at least {}, a thousand for good ones",
                    result.estimates.size(),
                    kFewResamples));
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
LimitsOfFit MakeLimits(const Problem& problem,
                       const PointTable& original,
                       const FitOptions& options,
                       SearchResult& found,
                       FitReport& report) {
  switch (report.intervals.kind) {
    case IntervalKind::kStudent:
    case IntervalKind::kDelta:
      return {StudentLimits(problem, report.linearisation, options.level)};
    case IntervalKind::kBootstrap:
      return BootstrapWithWarnings(problem, original, found, options, report);
    case IntervalKind::kProfile:
      break;
    default:
      return {std::vector<Limits>(problem.parameters())};
  }
  for (int round = 0; round < 3; ++round) {
    ProfileResult profile = ProfileLimits(problem, found, report.linearisation, options);
    if (!profile.better) return std::move(profile.limits);
    AdoptBetter(problem, *profile.better, found);
    report.linearisation = Linearise(problem, found.best.inner, found.box.held);
    report.warnings.push_back(
        "the objective has several optima: a profile met a better one than the starts");
  }
  return {std::vector<Limits>(problem.parameters())};
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

// N and D are one variable in this design: what is given to one may be taken from the other.
void WithholdIntervals(FitReport& report) {
  for (Estimate& estimate : report.estimates) {
    if (estimate.name == "E" || estimate.name == "e_inf") continue;
    estimate.low.reset();
    estimate.high.reset();
  }
}

void FillActiveBounds(const Problem& problem, const SearchResult& found, FitReport& report) {
  for (const std::size_t k : found.vanished) {
    report.active_bounds.push_back(problem.law->parameters[k].name + " = 0");
  }
  for (std::size_t k = 0; k < problem.parameters(); ++k) {
    if (!IsAtBound(found.box, k, found.best.inner)) continue;
    const Parameter& parameter = problem.law->parameters[k];
    report.active_bounds.push_back(
        fmt::format("{} = {}", parameter.name, ToNatural(parameter, found.best.inner[k])));
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
  if (report.starts_polished >= kEnoughStarts &&
      report.starts_at_best * kFewAtBest < report.starts_polished) {
    report.warnings.push_back(fmt::format(
        "only {} of {} finished starts reached the best objective: there are several optima, and "
        "the intervals describe one of them",
        report.starts_at_best,
        report.starts_polished));
  }
  if (problem.degrees() > 0 && problem.degrees() < kFewDegrees && !IsLogLogLine(problem) &&
      report.intervals.kind != IntervalKind::kNone) {
    report.warnings.push_back(
        fmt::format("the intervals rest on {:.0f} degree{} of freedom: few points for this law",
                    problem.degrees(),
                    problem.degrees() > 1 ? "s" : ""));
  }
  const bool linear_method = report.intervals.kind == IntervalKind::kDelta ||
                             report.intervals.kind == IntervalKind::kStudent;
  if (!report.active_bounds.empty() && linear_method)
    report.warnings.push_back(
        "an active bound: delta intervals beside it are too short, use profile");
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
  natural.reserve(report.estimates.size());
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

// A point at chance level says that a law has not begun, not how it goes on. Where the size of the
// evaluation is known, one within two standard errors of chance is at chance.
bool AtChance(const PointTable& points, std::size_t i, double chance) {
  if (points.sample_sizes.empty() || chance > 1) return points.y[i] >= chance;
  const double error = std::sqrt(chance * (1 - chance) / points.sample_sizes[i]);
  return points.y[i] >= chance - 2 * error;
}

// Without the points that no choice of parameters could meet better or worse, and those at chance.
Selected Informative(const PointTable& points, const Law& law, const FitOptions& options) {
  Selected result{.points = points, .excluded = {}};
  if (!law.says_nothing && !options.chance) return result;
  const Constants constants = ResolveConstants(law, options.constants);
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (law.says_nothing && law.says_nothing(points, i, constants)) {
      result.excluded.push_back(
          {points.Label(i), "the law has the same value there whatever its parameters"});
    } else if (options.chance && AtChance(points, i, *options.chance)) {
      result.excluded.push_back(
          {points.Label(i), fmt::format("not better than chance ({})", *options.chance)});
    } else {
      kept.push_back(i);
    }
  }
  result.points = points.Subset(kept);
  return result;
}

// Points that the law has something to say about and whose observable is zero or below.
std::size_t PointsWithoutLogarithm(const PointTable& points,
                                   const Law& law,
                                   const FitOptions& options) {
  const PointTable informative = Informative(points, law, options).points;
  return static_cast<std::size_t>(
      std::count_if(informative.y.begin(), informative.y.end(), [](double y) { return y <= 0; }));
}

// Names for points that have none, so that a selection's reports keep the numbers of the table.
PointTable Labelled(PointTable points) {
  if (!points.labels.empty()) return points;
  std::vector<std::string> labels;
  labels.reserve(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) labels.push_back(points.Label(i));
  points.labels = std::move(labels);
  return points;
}

Selected SelectPoints(const PointTable& points, const Law& law, const FitOptions& options) {
  for (const std::string& variable : law.variables) (void)points.Column(variable);
  Selected informative = Informative(points, law, options);
  Selected selected =
      Select(informative.points, options.select, points.Has("C") ? "C" : law.variables.front());
  selected.excluded.insert(
      selected.excluded.begin(), informative.excluded.begin(), informative.excluded.end());
  return selected;
}

}  // namespace

// Runs that differ in the seed alone share the deviation of their design from the law, so their
// mean is one point. Its variance is that of designs (what the means scatter more than seeds
// explain) plus that of seeds over their number.
FitReport FitRandomSeeds(const PointTable& given, const Law& law, const FitOptions& options) {
  CheckPoints(given);
  if (options.weighting != Weighting::kGiven || !given.weights.empty()) {
    throw Failure(FailureCode::kUsage,
                  "--seeds random weighs the points itself: without --weights");
  }
  SeedCells cells = AverageSeeds(given, *options.residual);
  FitOptions inner = options;
  inner.seeds = Seeds::kPooled;
  double of_designs = 0;
  if (cells.seed_degrees > 0) {
    FitOptions first = inner;
    first.intervals.kind = IntervalKind::kNone;
    const double scatter = std::pow(FitLaw(cells.means, law, first).linearisation.sigma, 2);
    double share = 0;
    for (const double runs : cells.runs) share += 1 / runs / static_cast<double>(cells.runs.size());
    of_designs = std::max(scatter - cells.seed_variance * share, 0.0);
    double sum = 0;
    for (const double runs : cells.runs) sum += 1 / (of_designs + cells.seed_variance / runs);
    for (const double runs : cells.runs) {
      cells.means.weights.push_back(static_cast<double>(cells.runs.size()) /
                                    (of_designs + cells.seed_variance / runs) / sum);
    }
  }
  FitReport report = FitLaw(cells.means, law, inner);
  report.id = FitId(given, law, options);
  report.derived["seed_standard_deviation"] = std::sqrt(cells.seed_variance);
  report.derived["design_standard_deviation"] = std::sqrt(of_designs);
  if (cells.seed_degrees == 0)
    report.warnings.push_back("no two points agree in every variable: there is no second seed");
  return report;
}

// The law's own residual space; linear where an observable that may be zero is, or below.
FitReport FitInDefaultSpace(const PointTable& given, const Law& law, const FitOptions& options) {
  FitOptions chosen = options;
  chosen.residual = law.residual;
  CheckPoints(given);
  const std::size_t without = PointsWithoutLogarithm(given, law, options);
  if (without > 0) chosen.residual = Residual::kLinear;
  FitReport report = FitLaw(given, law, chosen);
  if (without > 0 && law.residual == Residual::kLog) {
    report.warnings.push_back(
        fmt::format("linear residuals: {} of {} points have no logarithm ({} of zero or below)",
                    without,
                    given.size(),
                    given.observable));
  }
  return report;
}

FitReport FitLaw(const PointTable& given, const Law& law, const FitOptions& options) {
  if (!options.residual) return FitInDefaultSpace(given, law, options);
  if (options.seeds == Seeds::kRandom) return FitRandomSeeds(given, law, options);
  CheckPoints(given);
  const PointTable points = WithWeights(Labelled(given), options.weighting, *options.residual);
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
  report.guards = InspectPoints(points);
  for (std::string& warning : report.guards.Warnings()) report.warnings.push_back(warning);
  SearchResult found = Search(problem, options);
  report.intervals = ChooseIntervals(problem, found, options);
  report.linearisation = Linearise(problem, found.best.inner, found.box.held);
  const LimitsOfFit limits = MakeLimits(problem, points, options, found, report);
  FillEstimates(problem, found, limits.parameters, report);
  for (std::size_t t = 0; t < limits.targets.size(); ++t)
    report.targets.push_back(
        {TargetOfLaw(law, options.targets[t]), limits.targets[t].low, limits.targets[t].high});
  if (report.guards.Inseparable()) WithholdIntervals(report);
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
