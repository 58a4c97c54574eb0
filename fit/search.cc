#include "fit/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "fit/ceres_finish.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr std::size_t kRaceShare = 20;  // one in so many runs the first lap
constexpr int kLapSteps = 10;
constexpr int kPatience = 10000;  // steps for the best: curved valleys take thousands
constexpr double kSameOptimum = 1e-6;
constexpr std::size_t kManyPoints = 20000;  // more are searched by a sample of about as many
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> UserStart(const Problem& problem, const FitOptions& options) {
  std::vector<double> start = problem.fixed;
  for (std::size_t k = 0; k < start.size(); ++k) {
    const Parameter& parameter = problem.law->parameters[k];
    const auto given = options.start.find(parameter.name);
    if (given != options.start.end()) start[k] = ToInner(parameter, given->second);
  }
  return start;
}

// The user's start and departures from it, by factors of a half to two mostly. A single walk ends
// where rounding decides: at a saddle where two like terms are equal, on one machine and not on
// another.
Starts AroundUserStart(const Problem& problem, const FitOptions& options) {
  constexpr double kDeparture = 0.4;
  Starts starts = {UserStart(problem, options)};
  for (std::size_t d = 0; d < options.departures; ++d) {
    Random random(options.seed, d);
    std::vector<double> start = starts.front();
    for (std::size_t k = 0; k < start.size(); ++k) {
      const double step = kDeparture * random.Normal();
      const bool log = problem.law->parameters[k].transform == Transform::kLog;
      start[k] = log ? start[k] + step : start[k] * std::exp(step);
    }
    starts.push_back(std::move(start));
  }
  return starts;
}

Starts MakeStarts(const Problem& problem, const FitOptions& options) {
  Starts starts;
  if (!options.start.empty()) {
    starts = AroundUserStart(problem, options);
  } else {
    starts = problem.law->starts({.points = problem.points,
                                  .constants = problem.constants,
                                  .count = options.starts,
                                  .grid = options.grid,
                                  .seed = options.seed});
  }
  for (std::vector<double>& start : starts) {
    for (std::size_t k = 0; k < start.size(); ++k) {
      start[k] = problem.box.held[k]
                     ? problem.fixed[k]
                     : std::clamp(start[k], problem.box.lower[k], problem.box.upper[k]);
    }
  }
  return starts;
}

void SortAndKeep(std::vector<Minimum>& runners, std::size_t count) {
  std::stable_sort(runners.begin(), runners.end(), [](const Minimum& a, const Minimum& b) {
    return a.objective < b.objective;
  });
  if (runners.size() > count) runners.resize(count);
}

// Drops the starts that fall behind; what is left is worth finishing.
std::vector<Minimum> Race(const Problem& problem, Objective& objective, const Starts& starts) {
  std::vector<Minimum> runners;
  for (const std::vector<double>& start : starts) {
    const double value = objective.Value(start);
    if (std::isfinite(value)) runners.push_back({.inner = start, .objective = value});
  }
  const std::size_t finishers = problem.law->finishers;
  if (runners.size() <= finishers) return runners;
  SortAndKeep(runners, std::max(2 * finishers, runners.size() / kRaceShare));
  for (Minimum& runner : runners) {
    runner = Minimize(objective, std::move(runner.inner), problem.box, {.max_steps = kLapSteps});
  }
  SortAndKeep(runners, finishers);
  return runners;
}

// Ceres first, then Newton's method from where Ceres stopped: the lower of the two, Newton's where
// rounding cannot tell, since its last step follows the gradient below what the objective resolves.
Minimum Finish(Objective& objective, const Minimum& best, const Box& box) {
  const Minimum ceres = FinishWithCeres(objective, best.inner, box);
  Minimum newton = MinimizeToTheEnd(objective, ceres.inner, box, {.max_steps = kPatience});
  if (newton.objective <= ceres.objective * (1 + 1e-12)) return newton;
  return ceres.objective <= best.objective ? ceres : best;
}

// With some parameters exactly zero, from the finished starts' other parameters.
std::optional<Minimum> WithoutParameter(Objective& objective,
                                        const std::vector<Minimum>& finished,
                                        const Box& box,
                                        std::size_t k) {
  std::optional<Minimum> best;
  for (std::size_t s = 0; s < std::min<std::size_t>(finished.size(), 5); ++s) {
    std::vector<double> start = finished[s].inner;
    start[k] = -kInfinity;
    Minimum minimum = MinimizeToTheEnd(objective, std::move(start), box);
    if (!best || minimum.objective < best->objective) best = std::move(minimum);
  }
  return best;
}

// What rounding of the residuals may add to an objective: Σ w |r| times a few units of the last
// place of the target.
double Rounding(Objective& objective, const Minimum& at) {
  constexpr double kUnits = 4 * std::numeric_limits<double>::epsilon();
  (void)objective.Value(at.inner);
  double sum = 0;
  for (std::size_t i = 0; i < objective.points(); ++i) {
    sum += objective.weight(i) * std::abs(objective.residuals()[i]) *
           std::max(1.0, std::abs(objective.target()[i]));
  }
  return 1e-13 * at.objective + kUnits * sum;
}

// A floor that wants to be zero creeps towards it for ever on a logarithmic scale: compare with
// zero itself.
void TryVanishing(const Problem& problem,
                  Objective& objective,
                  std::vector<Minimum> finished,
                  SearchResult& result) {
  for (std::size_t k = 0; k < problem.parameters(); ++k) {
    const bool candidate = problem.law->parameters[k].can_vanish && !result.box.held[k] &&
                           result.box.lower[k] == -kInfinity;
    if (!candidate) continue;
    Box box = result.box;
    box.held[k] = true;
    finished.insert(finished.begin(), result.best);
    const std::optional<Minimum> without = WithoutParameter(objective, finished, box, k);
    if (!without || without->objective > result.best.objective + Rounding(objective, result.best))
      continue;
    result.best = *without;
    result.box = box;
    result.vanished.push_back(k);
  }
}

std::string Describe(const SearchResult& result) {
  if (!std::isfinite(result.best.objective)) return "the objective is infinite at every start";
  switch (result.best.stop) {
    case Stop::kConverged:
      return "converged";
    case Stop::kStalled:
      return "converged: no step reduces the objective any more";
    case Stop::kSteps:
      return "not converged: out of steps";
  }
  return "";
}

}  // namespace

Minimum Refit(Objective& objective, const std::vector<double>& start, const Box& box) {
  return MinimizeToTheEnd(objective, start, box);
}

void AdoptBetter(const Problem& problem, const Minimum& better, SearchResult& found) {
  Objective objective = problem.MakeObjective();
  std::vector<double> start = better.inner;
  // Minus infinity is no place to move from: a vanished parameter is tried as such below.
  for (double& value : start) value = std::max(value, -100.0);
  for (std::size_t k = 0; k < start.size(); ++k) {
    if (problem.box.held[k]) start[k] = problem.fixed[k];
  }
  found.best = Finish(objective, MinimizeToTheEnd(objective, start, problem.box), problem.box);
  found.box = problem.box;
  found.vanished.clear();
  found.at_best = 0;
  TryVanishing(problem, objective, {}, found);
}

namespace {

SearchResult SearchOnAllPoints(const Problem& problem, const FitOptions& options) {
  Objective objective = problem.MakeObjective();
  const Starts starts = MakeStarts(problem, options);
  std::vector<Minimum> finished;
  if (options.race && options.start.empty()) {
    finished = Race(problem, objective, starts);
  } else {
    for (const auto& start : starts) finished.push_back({.inner = start});
  }
  for (Minimum& runner : finished) {
    const std::vector<double> start = runner.inner;
    runner = MinimizeToTheEnd(objective, start, problem.box);
    if (options.start.empty()) continue;
    // Few starts of the user's own have no others to fall back on: Ceres walks another way from
    // them.
    Minimum other = FinishWithCeres(objective, start, problem.box);
    if (other.objective < runner.objective)
      runner = MinimizeToTheEnd(objective, std::move(other.inner), problem.box);
  }
  SearchResult result{.best = {.inner = problem.fixed, .objective = kInfinity}, .box = problem.box};
  result.starts = starts.size();
  result.polished = finished.size();
  SortAndKeep(finished, finished.size());
  if (!finished.empty()) {
    result.best = Finish(objective, finished.front(), problem.box);
    TryVanishing(problem, objective, finished, result);
  }
  for (const Minimum& minimum : finished) {
    const double slack = kSameOptimum * result.best.objective + 1e-300;
    result.at_best += minimum.objective <= result.best.objective + slack ? 1 : 0;
  }
  result.stopped = Describe(result);
  return result;
}

// The problem on every k-th point.
Problem EveryKth(const Problem& problem, std::size_t k) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < problem.points.size(); i += k) indices.push_back(i);
  Problem sample;
  sample.law = problem.law;
  sample.points = problem.points.Subset(indices);
  sample.constants = problem.constants;
  sample.space = problem.space;
  sample.loss = problem.loss;
  sample.target = Targets(sample.points, sample.space);
  sample.bound = sample.law->bind(sample.points, sample.constants);
  sample.box = problem.box;
  sample.fixed = problem.fixed;
  return sample;
}

// The starts are raced and finished on the sample, its best is finished on all points.
SearchResult SearchBySample(const Problem& problem, const FitOptions& options) {
  const Problem sample = EveryKth(problem, problem.points.size() / kManyPoints);
  SearchResult result = SearchOnAllPoints(sample, options);
  const std::size_t at_best = result.at_best;
  const Minimum of_sample = result.best;
  AdoptBetter(problem, of_sample, result);
  result.at_best = at_best;
  result.stopped = Describe(result);
  return result;
}

}  // namespace

SearchResult Search(const Problem& problem, const FitOptions& options) {
  const bool many = problem.points.size() >= 2 * kManyPoints;
  const bool sampled = many && options.race && options.start.empty();
  return sampled ? SearchBySample(problem, options) : SearchOnAllPoints(problem, options);
}

}  // namespace sweep
