#include "fit/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/failure.h"

namespace sweep {
namespace {

void CheckBounds(const Law& law, const Parameter& parameter, double value) {
  if (value >= parameter.lower && value <= parameter.upper) return;
  throw Failure(FailureCode::kUsage,
                fmt::format("{}.{} = {} is outside its range {} to {}",
                            law.name,
                            parameter.name,
                            value,
                            parameter.lower,
                            parameter.upper));
}

Box MakeBox(const Law& law, const FitOptions& options) {
  Box box;
  for (const Parameter& parameter : law.parameters) {
    box.lower.push_back(ToInner(parameter, parameter.lower));
    box.upper.push_back(ToInner(parameter, parameter.upper));
    box.held.push_back(options.fix.contains(parameter.name));
    box.logarithmic.push_back(parameter.transform == Transform::kLog);
  }
  for (const auto& [name, bounds] : options.bounds) {
    const std::size_t k = law.Index(name);
    const Parameter& parameter = law.parameters[k];
    const bool only_zero = parameter.transform == Transform::kLog && bounds.upper <= 0;
    if (!(bounds.lower <= bounds.upper) || bounds.upper < parameter.lower ||
        bounds.lower > parameter.upper || only_zero) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("--bounds {}={}:{} leaves nothing of the law's range {} to {}{}",
                                name,
                                bounds.lower,
                                bounds.upper,
                                parameter.lower,
                                parameter.upper,
                                only_zero ? ", zero excluded (--fix holds a parameter)" : ""));
    }
    box.lower[k] = std::max(box.lower[k], ToInner(parameter, bounds.lower));
    box.upper[k] = std::min(box.upper[k], ToInner(parameter, bounds.upper));
  }
  return box;
}

std::vector<double> FixedValues(const Law& law, const FitOptions& options) {
  std::vector<double> fixed(law.parameters.size(), 0);
  for (const auto& [name, value] : options.fix) {
    const std::size_t k = law.Index(name);
    CheckBounds(law, law.parameters[k], value);
    if (value == 0 && law.parameters[k].transform == Transform::kLog &&
        !law.parameters[k].can_vanish) {
      throw Failure(FailureCode::kUsage, fmt::format("{}.{} must be positive", law.name, name));
    }
    fixed[k] = ToInner(law.parameters[k], value);
  }
  return fixed;
}

// A term that the user took out takes its exponent along: held at zero, not estimated.
void HoldExponentsOfNothing(const Law& law, Box& box, std::vector<double>& fixed) {
  for (std::size_t k = 0; k < law.parameters.size(); ++k) {
    const Parameter& parameter = law.parameters[k];
    if (parameter.of.empty() || box.held[k]) continue;
    const std::size_t coefficient = law.Index(parameter.of);
    if (!box.held[coefficient] || std::isfinite(fixed[coefficient])) continue;
    box.held[k] = true;
    fixed[k] = std::clamp(0.0, box.lower[k], box.upper[k]);
  }
}

// How to do without a variable: the coefficients whose terms can be taken out.
std::string TakeOut(const Law& law) {
  std::string names;
  for (const Parameter& parameter : law.parameters) {
    if (!parameter.of.empty()) names += (names.empty() ? "" : ", ") + parameter.of + "=0";
  }
  return names.empty() ? "" : " (--fix takes a term out: " + names + ")";
}

// A variable that takes one value says nothing about its exponent. Unique data has none:
// repetitions D/U vary with D.
void CheckVariation(const Problem& problem) {
  if (problem.free_parameters() < problem.parameters())
    return;  // the user holds something: their design
  for (const std::string& name : problem.law->variables) {
    if (name == "U") continue;
    const std::vector<double>& column = problem.points.Column(name);
    const auto [low, high] = std::minmax_element(column.begin(), column.end());
    if (*low < *high) continue;
    throw Failure(
        FailureCode::kData,
        fmt::format(
            "all {} points ({} to {}) have {} = {}: its exponent needs at least two values{}",
            column.size(),
            problem.points.Label(0),
            problem.points.Label(column.size() - 1),
            name,
            *low,
            TakeOut(*problem.law)));
  }
}

void CheckCount(const Problem& problem) {
  std::size_t weighted = 0;
  for (std::size_t i = 0; i < problem.points.size(); ++i)
    weighted += problem.points.Weight(i) > 0 ? 1U : 0U;
  if (weighted >= problem.free_parameters()) return;
  std::string labels;
  for (std::size_t i = 0; i < std::min<std::size_t>(problem.points.size(), 5); ++i) {
    labels += (i > 0 ? ", " : "") + problem.points.Label(i);
  }
  throw Failure(FailureCode::kData,
                fmt::format("{} points ({}) cannot determine the {} parameters of law {}",
                            weighted,
                            labels,
                            problem.free_parameters(),
                            problem.law->name));
}

}  // namespace

std::size_t Problem::free_parameters() const {
  return static_cast<std::size_t>(std::count(box.held.begin(), box.held.end(), false));
}

double Problem::degrees() const {
  return std::max(0.0, static_cast<double>(points.size()) - static_cast<double>(free_parameters()));
}

Objective Problem::MakeObjective() const {
  return MakeObjective(points.weights);
}

Objective Problem::MakeObjective(std::span<const double> weights) const {
  return {*bound, target, weights, space, loss};
}

std::vector<double> Targets(const PointTable& points, Residual space) {
  if (space == Residual::kLinear) return points.y;
  std::vector<double> logs;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points.y[i] <= 0) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: {} = {} has no logarithm; use --residual linear",
                                points.Label(i),
                                points.observable,
                                points.y[i]));
    }
    logs.push_back(std::log(points.y[i]));
  }
  return logs;
}

Constants ResolveConstants(const Law& law, const Constants& given) {
  Constants constants = law.constants;
  for (const auto& [name, value] : given) {
    if (!constants.contains(name)) {
      throw Failure(FailureCode::kUsage, fmt::format("law {} has no constant {}", law.name, name));
    }
    constants[name] = value;
  }
  return constants;
}

Problem MakeProblem(PointTable points, const Law& law, const FitOptions& options) {
  Problem problem;
  problem.law = &law;
  problem.space = options.residual.value_or(law.residual);
  problem.loss = options.loss;
  problem.constants = ResolveConstants(law, options.constants);
  problem.box = MakeBox(law, options);
  problem.fixed = FixedValues(law, options);
  HoldExponentsOfNothing(law, problem.box, problem.fixed);
  problem.points = std::move(points);
  for (const std::string& variable : law.variables) (void)problem.points.Column(variable);
  CheckCount(problem);
  CheckVariation(problem);
  problem.target = Targets(problem.points, problem.space);
  problem.bound = law.bind(problem.points, problem.constants);
  return problem;
}

}  // namespace sweep
