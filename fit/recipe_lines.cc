#include "fit/recipe_lines.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "fit/select.h"
#include "fit/sequences.h"
#include "fit/statistics.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;

constexpr std::size_t kLeastForResiduals = 5;
constexpr std::size_t kLeastDraws = 20;

std::vector<double> Logs(const std::vector<double>& values) {
  std::vector<double> logs;
  logs.reserve(values.size());
  for (const double value : values) logs.push_back(std::log(value));
  return logs;
}

// Draws observables of one curve under a given slope: its own C, its own scatter.
class NullCurve {
 public:
  explicit NullCurve(const RecipeCurve& curve)
      : points_(*curve.points), select_(curve.select), x_(Logs(points_.Column("C"))) {
    const std::vector<double> y = Logs(points_.y);
    const Line line = FitLine(x_, y);
    sigma_ = line.sigma;
    middle_ = line.At(line.x_mean);
    x_mean_ = line.x_mean;
    if (y.size() < kLeastForResiduals || !(line.degrees > 0)) return;
    const double inflate = std::sqrt(static_cast<double>(y.size()) / line.degrees);
    for (std::size_t i = 0; i < y.size(); ++i)
      residuals_.push_back(inflate * (y[i] - line.At(x_[i])));
  }

  [[nodiscard]] std::optional<Line> Simulate(double slope, Random& random) {
    for (std::size_t i = 0; i < x_.size(); ++i) {
      const double noise = residuals_.empty() ? sigma_ * random.Normal()
                                              : residuals_[random.Index(residuals_.size())];
      points_.y[i] = std::exp(middle_ + slope * (x_[i] - x_mean_) + noise);
    }
    return LineOfRecipe(points_, select_);
  }

 private:
  PointTable points_;
  Selection select_;
  std::vector<double> x_;
  std::vector<double> residuals_;
  double sigma_ = 0;
  double middle_ = 0;
  double x_mean_ = 0;
};

double WelchT(const Line& first, const Line& second) {
  return (first.slope - second.slope) / std::hypot(first.slope_error, second.slope_error);
}

bool Testable(const std::optional<Line>& line) {
  return line && line->degrees > 0 && line->slope_error > 0;
}

// The models of one curve over all sets, and which points of each set are a model's.
class Clusters {
 public:
  explicit Clusters(const std::vector<RecipeCurve>& sets) {
    std::map<std::string, std::size_t> index;
    for (const RecipeCurve& set : sets) {
      for (std::size_t i = 0; i < set.points->size(); ++i) index.try_emplace(Name(*set.points, i));
    }
    for (auto& [name, number] : index) number = count_++;
    for (const RecipeCurve& set : sets) {
      members_.emplace_back(count_);
      for (std::size_t i = 0; i < set.points->size(); ++i)
        members_.back()[index.at(Name(*set.points, i))].push_back(i);
    }
  }
  [[nodiscard]] std::size_t count() const { return count_; }

  [[nodiscard]] Indices Draw(Random& random) const {
    Indices drawn;
    for (std::size_t k = 0; k < count_; ++k) drawn.push_back(random.Index(count_));
    return drawn;
  }
  [[nodiscard]] Indices PointsOf(std::size_t set, const Indices& drawn) const {
    Indices points;
    for (const std::size_t cluster : drawn) {
      const Indices& own = members_[set][cluster];
      points.insert(points.end(), own.begin(), own.end());
    }
    return points;
  }

 private:
  // What repeats; a point of its own where nothing says.
  static std::string Name(const PointTable& points, std::size_t i) {
    return points.clusters.empty() ? points.Label(i) : points.clusters[i];
  }
  std::size_t count_ = 0;
  std::vector<std::vector<Indices>> members_;  // [set][cluster]
};

struct OverSets {
  double mean = 0;
  double steeper = 0;
  bool complete = true;
};

}  // namespace

std::optional<Line> LineOfRecipe(const PointTable& points, const Selection& select) {
  const Frontier frontier = FindFrontier(points, select, "C");
  std::vector<double> x = Logs(frontier.along);
  std::vector<double> y;
  y.reserve(frontier.kept.size());
  for (const std::size_t i : frontier.kept) y.push_back(std::log(points.y[i]));
  if (x.size() < 2) return std::nullopt;
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  if (!(*low < *high)) return std::nullopt;
  return FitLine(x, y);
}

std::optional<double> CalibratedWelchP(const RecipeCurve& first,
                                       const RecipeCurve& second,
                                       int simulations,
                                       std::uint64_t seed) {
  const std::optional<Line> a = LineOfRecipe(*first.points, first.select);
  const std::optional<Line> b = LineOfRecipe(*second.points, second.select);
  if (!Testable(a) || !Testable(b)) return std::nullopt;
  const double observed = WelchT(*a, *b);
  const double weight_a = 1 / (a->slope_error * a->slope_error);
  const double weight_b = 1 / (b->slope_error * b->slope_error);
  const double common = (weight_a * a->slope + weight_b * b->slope) / (weight_a + weight_b);
  NullCurve null_a(first), null_b(second);
  double below = 1, above = 1, usable = 1;  // the observed one counts: p is never zero
  for (int s = 0; s < simulations; ++s) {
    Random random(seed, static_cast<std::uint64_t>(s));
    const std::optional<Line> sa = null_a.Simulate(common, random);
    const std::optional<Line> sb = null_b.Simulate(common, random);
    if (!Testable(sa) || !Testable(sb)) continue;
    const double t = WelchT(*sa, *sb);
    usable += 1;
    below += t <= observed ? 1 : 0;
    above += t >= observed ? 1 : 0;
  }
  return std::min(1.0, 2 * std::min(below, above) / usable);
}

ClusteredDifference CompareOverSets(const std::vector<SetPair>& sets,
                                    double level,
                                    int resamples,
                                    std::uint64_t seed) {
  std::vector<RecipeCurve> firsts, seconds;
  for (const SetPair& set : sets) {
    firsts.push_back(set.first);
    seconds.push_back(set.second);
  }
  const Clusters of_first(firsts), of_second(seconds);
  const auto over_sets = [&](const Indices* drawn_first, const Indices* drawn_second) {
    OverSets result;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      const auto line =
          [&](const RecipeCurve& curve, const Clusters& clusters, const Indices* drawn) {
            if (!drawn) return LineOfRecipe(*curve.points, curve.select);
            return LineOfRecipe(curve.points->Subset(clusters.PointsOf(s, *drawn)), curve.select);
          };
      const std::optional<Line> a = line(sets[s].first, of_first, drawn_first);
      const std::optional<Line> b = line(sets[s].second, of_second, drawn_second);
      result.complete = result.complete && a && b;
      if (!a || !b) break;
      result.mean += (a->slope - b->slope) / static_cast<double>(sets.size());
      result.steeper += a->slope < b->slope ? 1 : 0;
    }
    return result;
  };
  ClusteredDifference difference{.sets = sets.size(),
                                 .clusters_first = of_first.count(),
                                 .clusters_second = of_second.count()};
  const OverSets observed = over_sets(nullptr, nullptr);
  difference.mean = observed.mean;
  difference.first_steeper = static_cast<std::size_t>(observed.steeper);
  std::vector<double> means, steeper;
  for (int r = 0; r < resamples; ++r) {
    Random random(seed, static_cast<std::uint64_t>(r));
    const Indices drawn_first = of_first.Draw(random);
    const Indices drawn_second = of_second.Draw(random);
    const OverSets drawn = over_sets(&drawn_first, &drawn_second);
    if (!drawn.complete) continue;
    means.push_back(drawn.mean);
    steeper.push_back(drawn.steeper);
  }
  if (means.size() < kLeastDraws) return difference;
  std::sort(means.begin(), means.end());
  std::sort(steeper.begin(), steeper.end());
  difference.low = SampleQuantile(means, 0.5 * (1 - level));
  difference.high = SampleQuantile(means, 0.5 * (1 + level));
  difference.sets_low = SampleQuantile(steeper, 0.5 * (1 - level));
  difference.sets_high = SampleQuantile(steeper, 0.5 * (1 + level));
  return difference;
}

}  // namespace sweep
