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

class Profile {
 public:
  Profile(const Problem& problem, const SearchResult& found, const Linearisation& at, double level)
      : problem_(problem),
        found_(found),
        at_(at),
        objective_(problem.MakeObjective()),
        best_(found.best.objective),
        allowed_(AllowedRise(level)) {
    if (!found.vanished.empty()) FindAwakenings();
  }

  Limits Find(std::size_t k) {
    if (problem_.box.held[k]) return {};
    return {.low = Side(k, -1), .high = Side(k, +1)};
  }

  [[nodiscard]] const std::optional<Minimum>& better() const { return better_; }

 private:
  struct Probe {
    double at = 0;      // inner value of the profiled parameter
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

  // A vanished parameter may come back when another one is moved: a value to wake it at, from the
  // law's own starts.
  void FindAwakenings() {
    const Starts starts = problem_.law->starts(
        {.points = problem_.points, .constants = problem_.constants, .count = 9, .seed = 1});
    for (const std::size_t k : found_.vanished) {
      std::vector<double> values;
      for (const auto& start : starts) values.push_back(start[k]);
      std::nth_element(values.begin(), values.begin() + 4, values.end());
      awakenings_.push_back({k, values[4]});
    }
  }

  // The objective with parameter k at `value`, the others fitted from `start`.
  Probe At(std::size_t k, double value, std::vector<double> start) {
    start[k] = value;
    Box box = found_.box;
    box.held[k] = true;
    Minimum minimum = Refit(objective_, start, box);
    for (const auto& [sleeper, inner] : awakenings_) {
      if (sleeper == k) continue;
      std::vector<double> awake = start;
      if (!std::isfinite(awake[sleeper])) awake[sleeper] = inner;
      box.held[sleeper] = false;
      Minimum other = Refit(objective_, awake, box);
      if (other.objective < minimum.objective) minimum = std::move(other);
      box.held[sleeper] = found_.box.held[sleeper];
    }
    if (minimum.objective < best_ * (1 - kBetter) && !better_) better_ = minimum;
    const double rise = std::max(minimum.objective - best_, 0.0);
    return {value, std::sqrt(rise) - std::sqrt(allowed_), std::move(minimum.inner)};
  }

  std::optional<double> Side(std::size_t k, int direction) {
    const Parameter& parameter = problem_.law->parameters[k];
    const double bound = direction < 0 ? problem_.box.lower[k] : problem_.box.upper[k];
    const bool vanished = !std::isfinite(found_.best.inner[k]);
    if (vanished && direction < 0) return 0;  // it lies on that bound
    if (direction < 0 && parameter.can_vanish && bound == -kInfinity && !vanished &&
        At(k, -kInfinity, found_.best.inner).excess <= 0) {
      return 0;
    }
    Probe inside{
        vanished ? Asleep(k) : found_.best.inner[k], -std::sqrt(allowed_), found_.best.inner};
    const double origin = inside.at;
    double step = FirstStep(k);
    Probe outside;
    for (int doubling = 0;; ++doubling) {
      double next = origin + direction * step;
      const bool at_bound = direction < 0 ? next <= bound : next >= bound;
      if (at_bound) next = bound;
      if (doubling == kDoublings || (!at_bound && std::abs(next - origin) > kFarthest))
        return std::nullopt;
      outside = At(k, next, Guess(k, next, inside));
      if (outside.excess > 0) break;
      if (at_bound) return ToNatural(parameter, bound);
      inside = std::move(outside);
      step *= 2;
    }
    return ToNatural(parameter, Root(k, origin, std::move(inside), std::move(outside)));
  }

  // Where to begin the walk of a parameter that lies at zero: far enough down not to be felt.
  double Asleep(std::size_t k) const {
    for (const auto& [sleeper, inner] : awakenings_) {
      if (sleeper == k) return inner - 20;
    }
    return -30;
  }

  double FirstStep(std::size_t k) const {
    if (!at_.covariance.empty() && std::isfinite(found_.best.inner[k])) {
      const double error = std::sqrt(at_.covariance[k * problem_.parameters() + k]);
      const double t = StudentQuantile(0.975, problem_.degrees());
      if (error > 0 && std::isfinite(error)) return std::min(t * error, 5.0);
    }
    return 0.1 * (1 + std::abs(std::isfinite(found_.best.inner[k]) ? found_.best.inner[k] : 0));
  }

  // The others' values at `value`: along the covariance's direction from the last probe, as a
  // linear law would have it.
  std::vector<double> Guess(std::size_t k, double value, const Probe& last) const {
    std::vector<double> guess = last.inner;
    const std::size_t p = problem_.parameters();
    if (at_.covariance.empty() || !(at_.covariance[k * p + k] > 0)) return guess;
    const double move = value - last.at;
    for (std::size_t j = 0; j < p; ++j) {
      if (j == k || found_.box.held[j] || !std::isfinite(guess[j])) continue;
      const double along = at_.covariance[j * p + k] / at_.covariance[k * p + k] * move;
      guess[j] = std::clamp(guess[j] + along, problem_.box.lower[j], problem_.box.upper[j]);
    }
    return guess;
  }

  // The root of the excess between two probes by regula falsi with the Illinois rule: sqrt(rise) is
  // nearly linear there.
  double Root(std::size_t k, double origin, Probe inside, Probe outside) {
    double low = inside.excess;
    double high = outside.excess;
    for (int round = 0; round < 60; ++round) {
      double next = inside.at + (outside.at - inside.at) * low / (low - high);
      if (round % 8 == 7) next = 0.5 * (inside.at + outside.at);
      const double width = std::abs(outside.at - inside.at);
      const double precision = kPrecision * std::abs(outside.at - origin);
      if (width <= precision) return next;
      const Probe& near =
          std::abs(next - inside.at) < std::abs(next - outside.at) ? inside : outside;
      Probe probe = At(k, next, Guess(k, next, near));
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

  struct Awakening {
    std::size_t parameter;
    double inner;
  };

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
                            double level) {
  ProfileResult result{.limits = std::vector<Limits>(problem.parameters()), .better = std::nullopt};
  if (problem.degrees() <= 0 || !(found.best.objective > 0)) return result;
  Profile profile(problem, found, at, level);
  for (std::size_t k = 0; k < problem.parameters(); ++k) {
    result.limits[k] = profile.Find(k);
    if (profile.better()) break;
  }
  result.better = profile.better();
  return result;
}

}  // namespace sweep
