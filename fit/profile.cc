#include <algorithm>
#include <cmath>
#include <limits>

#include "fit/intervals.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kDoublings = 40;
constexpr double kFarthest =
    300;  // inner units from the estimate: e^300 of a coefficient, an exponent of 300
constexpr double kPrecision = 1e-9;  // of a limit, relative to its distance from the estimate
constexpr double kBetter =
    1e-7;  // a relative fall of the objective that is a new optimum, not rounding

// The law with one more point at the target, which pulls it to a value: wherever that point stands,
// the fitted law is the best of those with its own value there.
class PulledLaw {
 public:
  PulledLaw(const Problem& problem, const Target& target, const Linearisation& at)
      : value_(*problem.law, problem.constants, problem.space, target),
        points_(WithTarget(problem, target)),
        bound_(problem.law->bind(points_, problem.constants)),
        goals_(problem.target) {
    FillCovariances(at);
    pull_ = Pull(problem);
    origin_ = value_(at.inner);
    points_.weights.back() = pull_ * (variance_ > 0 ? at.sigma * at.sigma / variance_ : 1);
    goals_.push_back(0);
    objective_.emplace(*bound_, goals_, points_.weights, problem.space, problem.loss);
  }

  /// The point goes as far beyond `value` as brings a linear law there.
  void PullTo(double value) { goals_.back() = value + (value - origin_) / pull_; }
  [[nodiscard]] Objective& objective() { return *objective_; }
  [[nodiscard]] double Value(const std::vector<double>& inner) { return value_(inner); }
  /// Of the value there, and its covariances with the inner parameters; 0 and none where unknown.
  [[nodiscard]] double variance() const { return variance_; }
  [[nodiscard]] const std::vector<double>& covariances() const { return covariances_; }

 private:
  static PointTable WithTarget(const Problem& problem, const Target& target) {
    const PointTable point = TargetPoint(*problem.law, target);
    PointTable points{.variables = problem.law->variables, .y = problem.points.y};
    for (std::size_t v = 0; v < point.columns.size(); ++v) {
      points.columns.push_back(problem.points.Column(point.variables[v]));
      points.columns.back().push_back(point.columns[v].front());
    }
    points.y.push_back(1);
    for (std::size_t i = 0; i < problem.points.size(); ++i)
      points.weights.push_back(problem.points.Weight(i));
    points.weights.push_back(0);
    return points;
  }

  void FillCovariances(const Linearisation& at) {
    if (at.covariance.empty()) return;
    const std::vector<double> gradient = value_.Gradient(at.inner);
    const std::size_t p = gradient.size();
    covariances_.assign(p, 0);
    for (std::size_t a = 0; a < p; ++a) {
      for (std::size_t b = 0; b < p; ++b) {
        if (at.covariance[a * p + b] != 0)
          covariances_[a] += at.covariance[a * p + b] * gradient[b];
      }
      if (covariances_[a] != 0) variance_ += gradient[a] * covariances_[a];
    }
  }

  // How many times what the points themselves weigh there. Any pull leads to a law that is the best
  // of those with its value; a gentle one keeps the valley round, a robust loss needs a firm one.
  static double Pull(const Problem& problem) {
    return problem.loss.kind == LossKind::kSquared ? 100 : 1e4;
  }

  ValueAtTarget value_;
  PointTable points_;
  std::unique_ptr<BoundLaw> bound_;
  std::vector<double> goals_;
  std::optional<Objective> objective_;
  double pull_ = 0;
  double origin_ = 0;
  double variance_ = 0;
  std::vector<double> covariances_;
};

class Profile {
 public:
  Profile(const Problem& problem, const SearchResult& found, const Linearisation& at, double level)
      : problem_(problem),
        found_(found),
        at_(at),
        objective_(problem.MakeObjective()),
        best_(found.best.objective),
        allowed_(AllowedRise(level)) {
    FindAwakenings();
  }

  Limits OfParameter(std::size_t k) {
    if (problem_.box.held[k]) return {};
    const Axis axis = ParameterAxis(k);
    return {.low = Side(axis, -1), .high = Side(axis, +1)};
  }

  Limits AtTarget(const Target& target) {
    PulledLaw pulled(problem_, target, at_);
    const Axis axis = TargetAxis(pulled);
    return {.low = Side(axis, -1), .high = Side(axis, +1)};
  }

  [[nodiscard]] const std::optional<Minimum>& better() const { return better_; }

 private:
  // What is moved away from its best value while the rest is fitted again: a parameter, held at
  // each value, or the law's value at a target, pulled there.
  struct Axis {
    double origin = 0;
    double lower = -kInfinity;
    double upper = kInfinity;
    double farthest = kFarthest;
    double error = 0;           // standard error; 0 where it is unknown
    std::vector<double> along;  // how inner parameters move with it by the linearisation; or empty
    std::optional<std::size_t> parameter;
    PulledLaw* pulled = nullptr;
  };

  struct Awakening {
    std::size_t parameter;
    double inner;
  };

  struct Probe {
    double at = 0;      // value on the axis
    double excess = 0;  // sqrt(rise) - sqrt(allowed): negative inside the interval
    std::vector<double> inner;
  };

  // How far the objective may rise inside the interval.
  double AllowedRise(double level) {
    const double quantile = FisherQuantile(level, 1, problem_.degrees());
    if (problem_.loss.kind == LossKind::kSquared) return best_ * quantile / problem_.degrees();
    const std::size_t p = problem_.parameters();
    std::vector<double> gradient(p);
    std::vector<double> curvature(p * p);
    (void)objective_.Linearize(
        found_.best.inner, Objective::Curvature::kExact, gradient.data(), curvature.data());
    double square = 0;
    double bend = 0;
    for (std::size_t i = 0; i < objective_.points(); ++i) {
      square += objective_.slopes()[i] * objective_.slopes()[i];
      bend += objective_.bends()[i];
    }
    const double mean_bend = std::max(bend, 1.0) / static_cast<double>(objective_.points());
    return 0.5 * quantile * square / problem_.degrees() / mean_bend;
  }

  // Parameters that can vanish, and a value to wake each at, from the law's own starts.
  void FindAwakenings() {
    Starts starts;
    for (std::size_t k = 0; k < problem_.parameters(); ++k) {
      const bool can_vanish = problem_.law->parameters[k].can_vanish && !problem_.box.held[k] &&
                              problem_.box.lower[k] == -kInfinity;
      if (!can_vanish) continue;
      if (starts.empty())
        starts = problem_.law->starts(
            {.points = problem_.points, .constants = problem_.constants, .count = 9, .seed = 1});
      std::vector<double> values;
      for (const auto& start : starts) values.push_back(start[k]);
      std::nth_element(values.begin(), values.begin() + 4, values.end());
      awakenings_.push_back({k, values[4]});
    }
  }

  // The objective with the axis at `value`, the rest fitted from `start`.
  Probe At(const Axis& axis, double value, std::vector<double> start) {
    Box box = found_.box;
    if (axis.parameter) {
      start[*axis.parameter] = value;
      box.held[*axis.parameter] = true;
    } else {
      axis.pulled->PullTo(value);
    }
    Objective& objective = axis.parameter ? objective_ : axis.pulled->objective();
    Minimum minimum = Refit(objective, start, box);
    for (const Awakening& awakening : awakenings_) {
      const bool vanished = !std::isfinite(found_.best.inner[awakening.parameter]);
      if (axis.parameter == awakening.parameter || (axis.parameter && !vanished)) continue;
      Minimum other = Awake(objective, awakening, start, box);
      if (other.objective < minimum.objective) minimum = std::move(other);
      if (axis.parameter) continue;
      // Pulled far, the law may lose what it has or need what it lacks: both are tried from there.
      other = Asleep(objective, awakening.parameter, start, box);
      if (other.objective < minimum.objective) minimum = other;
      other = Awake(objective, awakening, other.inner, box);
      if (other.objective < minimum.objective) minimum = std::move(other);
    }
    if (!axis.parameter) {
      value = axis.pulled->Value(minimum.inner);
      minimum.objective = objective_.Value(minimum.inner);
    }
    if (minimum.objective < best_ * (1 - kBetter) && !better_) better_ = minimum;
    const double rise = std::max(minimum.objective - best_, 0.0);
    return {value, std::sqrt(rise) - std::sqrt(allowed_), std::move(minimum.inner)};
  }

  // The best with a vanished parameter come back. It is woken at several depths, because one that
  // is too large leaves no room for the value asked for; the rest makes room for it before it moves
  // itself.
  static Minimum Awake(Objective& objective,
                       const Awakening& awakening,
                       const std::vector<double>& start,
                       const Box& box) {
    const std::size_t k = awakening.parameter;
    Box held = box, free = box;
    held.held[k] = true;
    free.held[k] = false;
    if (std::isfinite(start[k])) return Refit(objective, start, free);
    Minimum best{.inner = start, .objective = kInfinity};
    for (const double depth : {0.0, 2.0, 4.0}) {
      std::vector<double> awake = start;
      awake[k] = awakening.inner - depth;
      Minimum minimum = Refit(objective, Refit(objective, awake, held).inner, free);
      if (minimum.objective < best.objective) best = std::move(minimum);
    }
    return best;
  }

  // The best with a parameter at zero, where it would creep for ever.
  static Minimum Asleep(Objective& objective, std::size_t k, std::vector<double> start, Box box) {
    start[k] = -kInfinity;
    box.held[k] = true;
    return Refit(objective, start, box);
  }

  Axis ParameterAxis(std::size_t k) const {
    const bool vanished = !std::isfinite(found_.best.inner[k]);
    Axis axis{.origin = vanished ? FarDown(k) : found_.best.inner[k],
              .lower = problem_.box.lower[k],
              .upper = problem_.box.upper[k],
              .along = {},
              .parameter = k};
    const std::size_t p = problem_.parameters();
    if (vanished || at_.covariance.empty() || !(at_.covariance[k * p + k] > 0)) return axis;
    axis.error = std::sqrt(at_.covariance[k * p + k]);
    for (std::size_t j = 0; j < p; ++j)
      axis.along.push_back(at_.covariance[j * p + k] / at_.covariance[k * p + k]);
    return axis;
  }

  Axis TargetAxis(PulledLaw& pulled) const {
    Axis axis{.origin = pulled.Value(found_.best.inner),
              .farthest = problem_.space == Residual::kLog ? kFarthest : kInfinity,
              .along = {},
              .parameter = std::nullopt,
              .pulled = &pulled};
    if (!(pulled.variance() > 0)) return axis;
    axis.error = std::sqrt(pulled.variance());
    for (const double covariance : pulled.covariances())
      axis.along.push_back(covariance / pulled.variance());
    return axis;
  }

  // Zero, where a parameter that can vanish may do so within the allowed rise.
  std::optional<double> AtZero(const Axis& axis) {
    if (!axis.parameter) return std::nullopt;
    const std::size_t k = *axis.parameter;
    const bool vanished = !std::isfinite(found_.best.inner[k]);
    if (vanished) return 0;  // it lies on that bound
    const bool can_vanish =
        problem_.law->parameters[k].can_vanish && problem_.box.lower[k] == -kInfinity;
    if (can_vanish && At(axis, -kInfinity, found_.best.inner).excess <= 0) return 0;
    return std::nullopt;
  }

  std::optional<double> Side(const Axis& axis, int direction) {
    if (const std::optional<double> zero = direction < 0 ? AtZero(axis) : std::nullopt) return zero;
    const double bound = direction < 0 ? axis.lower : axis.upper;
    Probe inside{axis.origin, -std::sqrt(allowed_), found_.best.inner};
    double step = FirstStep(axis);
    Probe outside;
    for (int doubling = 0;; ++doubling) {
      double next = axis.origin + direction * step;
      const bool at_bound = direction < 0 ? next <= bound : next >= bound;
      if (at_bound) next = bound;
      if (doubling == kDoublings || (!at_bound && std::abs(next - axis.origin) > axis.farthest))
        return std::nullopt;
      outside = At(axis, next, Guess(axis, next, inside));
      if (outside.excess > 0) break;
      if (at_bound) return Natural(axis, bound);
      inside = std::move(outside);
      step *= 2;
    }
    return Natural(axis, Root(axis, std::move(inside), std::move(outside)));
  }

  double Natural(const Axis& axis, double value) const {
    return axis.parameter ? ToNatural(problem_.law->parameters[*axis.parameter], value)
                          : FromSpace(value, problem_.space);
  }

  // Where to begin the walk of a parameter that lies at zero: far enough down not to be felt.
  double FarDown(std::size_t k) const {
    for (const auto& [sleeper, inner] : awakenings_) {
      if (sleeper == k) return inner - 20;
    }
    return -30;
  }

  double FirstStep(const Axis& axis) const {
    const bool asleep = axis.parameter && !std::isfinite(found_.best.inner[*axis.parameter]);
    if (axis.error > 0 && std::isfinite(axis.error)) {
      const double reach = StudentQuantile(0.975, problem_.degrees()) * axis.error;
      return axis.farthest < kInfinity ? std::min(reach, 5.0) : reach;
    }
    return 0.1 * (1 + (asleep ? 0 : std::abs(axis.origin)));
  }

  // The others' values at `value`: along the covariance's direction from the last probe, as a
  // linear law would have it.
  std::vector<double> Guess(const Axis& axis, double value, const Probe& last) const {
    std::vector<double> guess = last.inner;
    const double move = value - last.at;
    for (std::size_t j = 0; j < axis.along.size(); ++j) {
      if (axis.parameter == j || found_.box.held[j] || !std::isfinite(guess[j])) continue;
      guess[j] =
          std::clamp(guess[j] + axis.along[j] * move, problem_.box.lower[j], problem_.box.upper[j]);
    }
    return guess;
  }

  // The root of the excess between two probes by regula falsi with the Illinois rule: sqrt(rise) is
  // nearly linear there.
  double Root(const Axis& axis, Probe inside, Probe outside) {
    double low = inside.excess;
    double high = outside.excess;
    for (int round = 0; round < 60; ++round) {
      double next = inside.at + (outside.at - inside.at) * low / (low - high);
      if (round % 8 == 7) next = 0.5 * (inside.at + outside.at);
      const double width = std::abs(outside.at - inside.at);
      const double precision = kPrecision * std::abs(outside.at - axis.origin);
      if (width <= precision) return next;
      const Probe& near =
          std::abs(next - inside.at) < std::abs(next - outside.at) ? inside : outside;
      Probe probe = At(axis, next, Guess(axis, next, near));
      if (std::abs(probe.excess) <= kPrecision * std::sqrt(allowed_)) return next;
      if (probe.excess <= 0) {
        high = inside_last_ ? high / 2 : outside.excess;
        inside = std::move(probe);
        low = inside.excess;
        inside_last_ = true;
      } else {
        low = inside_last_ ? inside.excess : low / 2;
        outside = std::move(probe);
        high = outside.excess;
        inside_last_ = false;
      }
    }
    return inside.at;
  }

  const Problem& problem_;
  const SearchResult& found_;
  const Linearisation& at_;
  Objective objective_;
  double best_;
  double allowed_;
  std::vector<Awakening> awakenings_;
  std::optional<Minimum> better_;
  bool inside_last_ = false;
};

}  // namespace

ProfileResult ProfileLimits(const Problem& problem,
                            const SearchResult& found,
                            const Linearisation& at,
                            const FitOptions& options) {
  ProfileResult result{.limits = {.parameters = std::vector<Limits>(problem.parameters()),
                                  .targets = std::vector<Limits>(options.targets.size())},
                       .better = std::nullopt};
  if (problem.degrees() <= 0 || !(found.best.objective > 0)) return result;
  Profile profile(problem, found, at, options.level);
  for (std::size_t k = 0; k < problem.parameters() && !profile.better(); ++k)
    result.limits.parameters[k] = profile.OfParameter(k);
  for (std::size_t t = 0; t < options.targets.size() && !profile.better(); ++t)
    result.limits.targets[t] = profile.AtTarget(options.targets[t]);
  result.better = profile.better();
  return result;
}

}  // namespace sweep
