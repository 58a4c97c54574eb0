#include "fit/design.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "fit/law.h"
#include "fit/problem.h"
#include "fit/search.h"

namespace sweep {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::size_t kStarts = 64;
constexpr double kLeastWeight = 1e-3;  // of a fit, relative to the best's
constexpr double kSame = 0.1;          // two fits that differ less everywhere, in scatters, are one
constexpr double kLeastSpread = 0.5;   // of the prior, inner units
constexpr double kLadder[] = {0, 1, 2, 4};  // e-folds below a parameter's usual size
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The candidates and, last, the target, as places at which the law is asked.
PointTable Places(const Law& law, const std::vector<Candidate>& candidates, const Target& target) {
  PointTable places{.variables = law.variables};
  places.columns.resize(law.variables.size());
  const auto add = [&](const Target& at) {
    const PointTable point = TargetPoint(law, at);
    for (std::size_t v = 0; v < point.columns.size(); ++v)
      places.columns[v].push_back(point.columns[v].front());
    places.y.push_back(1);
  };
  for (const Candidate& candidate : candidates) add(candidate.at);
  add(target);
  return places;
}

// A fit that the points allow.
struct Fitted {
  std::vector<double> inner;
  std::vector<bool> held;
  double objective = 0;
  VectorXd value;  // at all places
  double weight = 0;
};

// Near-best fits of one law to one table of points, and what they say at all places.
class NearBestFits {
 public:
  NearBestFits(const DesignQuestion& question,
               const std::vector<Candidate>& candidates,
               const DesignOptions& options)
      : law_(FindLaw(question.fit.law)),
        problem_(MakeProblem(question.points, law_, WithSquares(question.fit))),
        places_(Places(law_, candidates, question.target)),
        at_places_(law_.bind(places_, problem_.constants)),
        objective_(problem_.MakeObjective()),
        starts_(law_.starts({.points = problem_.points,
                             .constants = problem_.constants,
                             .count = kStarts,
                             .seed = question.fit.seed})) {
    if (starts_.size() > kStarts) Thin();
    FillFromStarts();
    variance_ = Variance(options.scatter);
    if (options.several_optima) {
      FillLadders();
      WeighAndMerge();
    } else {
      std::swap(fits_.front(), *Best());
      fits_.resize(1);
      fits_.front().weight = 1;
    }
  }

  [[nodiscard]] std::size_t size() const { return fits_.size(); }
  [[nodiscard]] double variance() const { return variance_; }  // of one measurement

  /// Rows whose products are the covariance of the law's values at all places.
  MatrixXd Factor() {
    const auto places = static_cast<Eigen::Index>(places_.size());
    VectorXd mean = VectorXd::Zero(places);
    for (const Fitted& fit : fits_) mean += fit.weight * fit.value;
    const auto p = static_cast<Eigen::Index>(problem_.parameters());
    MatrixXd factor(places, static_cast<Eigen::Index>(fits_.size()) * (p + 1));
    Eigen::Index column = 0;
    for (const Fitted& fit : fits_) {
      factor.middleCols(column, p) = std::sqrt(fit.weight) * WithinFactor(fit);
      factor.col(column + p) = std::sqrt(fit.weight) * (fit.value - mean);
      column += p + 1;
    }
    return factor;
  }

 private:
  static FitOptions WithSquares(FitOptions options) {
    options.loss = {};
    return options;
  }

  // Every k-th of a grid.
  void Thin() {
    Starts few;
    for (std::size_t i = 0; i < kStarts; ++i) few.push_back(starts_[i * starts_.size() / kStarts]);
    starts_ = std::move(few);
  }

  void Add(const std::vector<double>& start, const Box& box) {
    const Minimum minimum = Refit(objective_, start, box);
    if (!std::isfinite(minimum.objective)) return;
    Evaluation there;
    at_places_->Evaluate(minimum.inner, problem_.space, false, there);
    const VectorXd value =
        VectorXd::Map(there.value.data(), static_cast<Eigen::Index>(there.value.size()));
    if (value.allFinite()) fits_.push_back({minimum.inner, box.held, minimum.objective, value});
  }

  void FillFromStarts() {
    for (std::vector<double> start : starts_) {
      for (std::size_t k = 0; k < start.size(); ++k) {
        if (problem_.box.held[k]) start[k] = problem_.fixed[k];
        start[k] = std::clamp(start[k], problem_.box.lower[k], problem_.box.upper[k]);
      }
      Add(start, problem_.box);
    }
  }

  std::vector<Fitted>::iterator Best() {
    return std::min_element(fits_.begin(), fits_.end(), [](const Fitted& a, const Fitted& b) {
      return a.objective < b.objective;
    });
  }

  // Of one measurement of weight 1: what the best fit leaves, and one degree of freedom believed.
  double Variance(double scatter) {
    return (2 * Best()->objective + scatter * scatter) / (problem_.degrees() + 1);
  }

  // A floor that the best fit does without is not known to be zero, and one it has not known to be
  // there: the best fits with it at zero and at sizes from the usual one down.
  void FillLadders() {
    const std::vector<double> best = Best()->inner;
    for (std::size_t k = 0; k < problem_.parameters(); ++k) {
      if (!law_.parameters[k].can_vanish || problem_.box.held[k]) continue;
      Box box = problem_.box;
      box.held[k] = true;
      std::vector<double> start = best;
      for (const double depth : kLadder) {
        start[k] = std::clamp(UsualSize(k) - depth, box.lower[k], box.upper[k]);
        Add(start, box);
      }
      if (box.lower[k] > -kInfinity) continue;
      start[k] = -kInfinity;
      Add(start, box);
    }
  }

  [[nodiscard]] double UsualSize(std::size_t k) const {
    std::vector<double> values = AtStarts(k);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  [[nodiscard]] std::vector<double> AtStarts(std::size_t k) const {
    std::vector<double> values;
    for (const auto& start : starts_) values.push_back(start[k]);
    return values;
  }

  // Likely first; a fit that says the same as a likelier one everywhere is that one again.
  void WeighAndMerge() {
    std::sort(fits_.begin(), fits_.end(), [](const Fitted& a, const Fitted& b) {
      return a.objective < b.objective;
    });
    const double best = fits_.front().objective;
    const double near = kSame * std::sqrt(variance_);
    std::vector<Fitted> kept;
    double sum = 0;
    for (Fitted& fit : fits_) {
      fit.weight = std::exp(-(fit.objective - best) / variance_);
      if (fit.weight < kLeastWeight) break;
      const bool known = std::any_of(kept.begin(), kept.end(), [&](const Fitted& other) {
        return (fit.value - other.value).cwiseAbs().maxCoeff() < near;
      });
      if (known) continue;
      sum += fit.weight;
      kept.push_back(std::move(fit));
    }
    for (Fitted& fit : kept) fit.weight /= sum;
    fits_ = std::move(kept);
  }

  [[nodiscard]] MatrixXd JacobianOf(const BoundLaw& bound, const Fitted& fit) const {
    Evaluation there;
    bound.Evaluate(fit.inner, problem_.space, true, there);
    const auto n = static_cast<Eigen::Index>(bound.points());
    const auto p = static_cast<Eigen::Index>(bound.parameters());
    MatrixXd jacobian = MatrixXd::Map(there.jacobian.data(), n, p);
    for (Eigen::Index k = 0; k < p; ++k) {
      const auto parameter = static_cast<std::size_t>(k);
      if (fit.held[parameter] || !std::isfinite(fit.inner[parameter])) jacobian.col(k).setZero();
    }
    return jacobian;
  }

  // J L at all places, where L L' = (J'WJ / s² + P)^-1 of the points.
  [[nodiscard]] MatrixXd WithinFactor(const Fitted& fit) const {
    MatrixXd at_points = JacobianOf(*problem_.bound, fit);
    for (Eigen::Index i = 0; i < at_points.rows(); ++i)
      at_points.row(i) *= std::sqrt(problem_.points.Weight(static_cast<std::size_t>(i)));
    MatrixXd precision = at_points.transpose() * at_points / variance_;
    for (std::size_t k = 0; k < problem_.parameters(); ++k) {
      const double spread = SpreadOfStarts(k);
      precision.diagonal()[static_cast<Eigen::Index>(k)] += 1 / (spread * spread);
    }
    const MatrixXd upper = precision.llt().matrixU();
    return upper.transpose()
        .triangularView<Eigen::Lower>()
        .solve(JacobianOf(*at_places_, fit).transpose())
        .transpose();
  }

  [[nodiscard]] double SpreadOfStarts(std::size_t k) const {
    const std::vector<double> values = AtStarts(k);
    const VectorXd v = VectorXd::Map(values.data(), static_cast<Eigen::Index>(values.size()));
    const double spread = std::sqrt((v.array() - v.mean()).square().mean());
    return std::isfinite(spread) ? std::max(spread, kLeastSpread) : kLeastSpread;
  }

  const Law& law_;
  Problem problem_;
  PointTable places_;
  std::unique_ptr<BoundLaw> at_places_;
  Objective objective_;
  Starts starts_;
  std::vector<Fitted> fits_;
  double variance_ = 0;
};

// What is believed of the law's values at candidates and target, and how measurements change it.
class Belief {
 public:
  Belief(MatrixXd factor, double variance) : factor_(std::move(factor)), variance_(variance) {}

  [[nodiscard]] double target_variance() const {
    return factor_.row(factor_.rows() - 1).squaredNorm();
  }

  /// By how much measuring each place would lower the target's variance.
  [[nodiscard]] VectorXd Gains() const {
    const VectorXd covariance = factor_ * factor_.row(factor_.rows() - 1).transpose();
    const VectorXd variance = factor_.rowwise().squaredNorm();
    return covariance.array().square() / (variance.array() + variance_);
  }

  /// Afterwards the rows' products are K - K_j K_j' / (K_jj + s²).
  void Measure(std::size_t place) {
    const VectorXd row = factor_.row(static_cast<Eigen::Index>(place)).transpose();
    const double own = row.squaredNorm();
    if (!(own > 0)) return;
    const double scale = (1 - std::sqrt(variance_ / (own + variance_))) / own;
    factor_ -= scale * (factor_ * row) * row.transpose();
  }

 private:
  MatrixXd factor_;  // one row a place, the target's last
  double variance_;  // of one measurement
};

// One greedy pass over the candidates.
class Chooser {
 public:
  Chooser(std::vector<Belief> beliefs,
          const std::vector<Candidate>& candidates,
          const DesignOptions& options)
      : beliefs_(std::move(beliefs)),
        candidates_(candidates),
        options_(options),
        left_(options.budget),
        chosen_(candidates.size(), false) {
    for (const std::size_t candidate : options.under_way) Take(candidate);
    for (const Belief& belief : beliefs_) before_.push_back(belief.target_variance());
  }

  [[nodiscard]] double sd_before(std::size_t question) const {
    return std::sqrt(before_[question]);
  }

  std::vector<DesignStep> Run(bool for_the_cost) {
    std::vector<DesignStep> steps;
    while (steps.size() < options_.most) {
      const std::optional<std::size_t> next = Next(for_the_cost);
      if (!next) break;
      DesignStep step{.candidate = *next, .cost = CostOf(*next), .after = {}};
      Take(*next);
      left_ -= step.cost;
      for (const Belief& belief : beliefs_)
        step.after.push_back(std::sqrt(belief.target_variance()));
      steps.push_back(std::move(step));
    }
    return steps;
  }

  /// Mean over the questions of the share of the variance that is left.
  [[nodiscard]] double ShareLeft() const {
    double share = 0;
    for (std::size_t q = 0; q < beliefs_.size(); ++q)
      share += beliefs_[q].target_variance() / before_[q];
    return share / static_cast<double>(beliefs_.size());
  }

 private:
  // Of the candidate and of what is not measured yet on the way to it.
  [[nodiscard]] double CostOf(std::size_t candidate) const {
    double cost = 0;
    for (std::optional<std::size_t> at = candidate; at && !chosen_[*at];
         at = candidates_[*at].after)
      cost += candidates_[*at].cost;
    return cost;
  }

  void Take(std::size_t candidate) {
    for (std::optional<std::size_t> at = candidate; at && !chosen_[*at];
         at = candidates_[*at].after) {
      chosen_[*at] = true;
      if (!candidates_[*at].observed) continue;
      for (Belief& belief : beliefs_) belief.Measure(*at);
    }
  }

  [[nodiscard]] std::optional<std::size_t> Next(bool for_the_cost) const {
    VectorXd gains = VectorXd::Zero(static_cast<Eigen::Index>(candidates_.size() + 1));
    for (std::size_t q = 0; q < beliefs_.size(); ++q) gains += beliefs_[q].Gains() / before_[q];
    std::optional<std::size_t> best;
    double highest = 0;
    for (std::size_t j = 0; j < candidates_.size(); ++j) {
      const double cost = CostOf(j);
      if (chosen_[j] || !candidates_[j].observed || cost > left_) continue;
      const double worth = gains[static_cast<Eigen::Index>(j)] / (for_the_cost ? cost : 1);
      if (!(worth > highest)) continue;
      highest = worth;
      best = j;
    }
    return best;
  }

  std::vector<Belief> beliefs_;
  const std::vector<Candidate>& candidates_;
  const DesignOptions& options_;
  std::vector<double> before_;
  double left_;
  std::vector<bool> chosen_;
};

}  // namespace

Design ChooseMeasurements(const std::vector<DesignQuestion>& questions,
                          const std::vector<Candidate>& candidates,
                          const DesignOptions& options) {
  Design design;
  std::vector<Belief> beliefs;
  for (const DesignQuestion& question : questions) {
    NearBestFits fits(question, candidates, options);
    beliefs.emplace_back(fits.Factor(), fits.variance());
    design.questions.push_back({.scatter = std::sqrt(fits.variance()), .fits = fits.size()});
  }
  Chooser thrifty(beliefs, candidates, options), lavish(beliefs, candidates, options);
  design.steps = thrifty.Run(true);
  std::vector<DesignStep> steps = lavish.Run(false);
  if (lavish.ShareLeft() < thrifty.ShareLeft()) design.steps = std::move(steps);
  for (std::size_t q = 0; q < questions.size(); ++q) {
    Knowledge& knowledge = design.questions[q];
    knowledge.before = thrifty.sd_before(q);
    knowledge.after = design.steps.empty() ? knowledge.before : design.steps.back().after[q];
  }
  return design;
}

}  // namespace sweep
