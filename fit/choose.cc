#include "fit/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/failure.h"
#include "fit/parallel.h"
#include "fit/predict.h"
#include "fit/select.h"

namespace sweep {
namespace {

using Indices = std::vector<std::size_t>;
constexpr std::size_t kLeastPredicted = 3;  // fewer predictions than this say nothing about a law

// By growing scale: C where there is one, else the product of all variables.
Indices ByScale(const PointTable& points) {
  std::vector<double> scale(points.size(), 0);
  for (std::size_t v = 0; v < points.variables.size(); ++v) {
    if (points.Has("C") && points.variables[v] != "C") continue;
    for (std::size_t i = 0; i < scale.size(); ++i) scale[i] += std::log(points.columns[v][i]);
  }
  Indices order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return scale[a] < scale[b];
  });
  return order;
}

// Sum of squared errors of predicting `targets` from a fit to `known`; nothing when that fit fails.
std::optional<double> PredictionError(const PointTable& points,
                                      const Indices& known,
                                      const Indices& targets,
                                      const FitOptions& options,
                                      Residual space) {
  try {
    const FitReport fit = Fit(AsVariablesOf(FindLaw(options.law), points.Subset(known)), options);
    double sum = 0;
    for (const std::size_t i : targets) {
      std::map<std::string, double> at;
      for (std::size_t v = 0; v < points.variables.size(); ++v)
        at[points.variables[v]] = points.columns[v][i];
      const double error = InSpace(Predict(fit, at).value, space) - InSpace(points.y[i], space);
      sum += error * error;
    }
    return std::isfinite(sum) ? std::optional<double>(sum) : std::nullopt;
  } catch (const Failure&) {
    return std::nullopt;
  }
}

class Scorer {
 public:
  Scorer(const PointTable& points, const FitOptions& options)
      : points_(points), options_(options), order_(ByScale(points)) {
    options_.intervals.kind = IntervalKind::kNone;
    options_.targets.clear();
    options_.select = {};
    options_.threads = 1;
    space_ = options.residual.value_or(Residual::kLog);
    options_.residual = space_;
  }

  LawScore Score(const std::string& name) {
    const Law& law = FindLaw(name);
    LawScore score{.law = name, .parameters = law.parameters.size()};
    FitOptions options = options_;
    options.law = name;
    FitOptions from_here = options;  // one point less moves the optimum a little: no search for it
    from_here.departures = 0;
    try {
      const FitReport fit = Fit(AsVariablesOf(law, points_), options);
      for (const Estimate& estimate : fit.estimates) {
        const bool vanished =
            FindLaw(name).parameters[FindLaw(name).Index(estimate.name)].can_vanish;
        from_here.start[estimate.name] = vanished ? std::max(estimate.value, 1e-9) : estimate.value;
      }
      score.aicc = Aicc(fit.n, 2 * fit.objective, law.parameters.size());
    } catch (const Failure& failure) {
      score.failure = failure.what();
      score.aicc = std::numeric_limits<double>::infinity();
      return score;
    }
    score.leave_one_out = LeaveOneOut(from_here, law.parameters.size());
    RollingOrigin(options, law.parameters.size(), score);
    return score;
  }

 private:
  [[nodiscard]] std::optional<double> LeaveOneOut(const FitOptions& options,
                                                  std::size_t parameters) const {
    constexpr std::size_t kMost =
        60;  // beyond this one point does not move a fit, and rolling origin decides
    if (points_.size() < parameters + 2 || points_.size() > kMost) return std::nullopt;
    double sum = 0;
    for (std::size_t left = 0; left < points_.size(); ++left) {
      Indices known;
      for (std::size_t i = 0; i < points_.size(); ++i) {
        if (i != left) known.push_back(i);
      }
      const std::optional<double> error = PredictionError(points_, known, {left}, options, space_);
      if (!error) return std::nullopt;
      sum += *error;
    }
    return std::sqrt(sum / static_cast<double>(points_.size()));
  }

  // Origins at half, five eighths, three quarters and seven eighths of the points.
  void RollingOrigin(const FitOptions& options, std::size_t parameters, LawScore& score) const {
    const std::size_t n = points_.size();
    double sum = 0;
    for (std::size_t eighth = 4; eighth < 8; ++eighth) {
      const std::size_t known = n * eighth / 8;
      const std::size_t end = std::min(n, known + std::max<std::size_t>(n / 4, 1));
      if (known < parameters + 2) continue;
      const Indices lower(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(known));
      const Indices upper(order_.begin() + static_cast<std::ptrdiff_t>(known),
                          order_.begin() + static_cast<std::ptrdiff_t>(end));
      const std::optional<double> error = PredictionError(points_, lower, upper, options, space_);
      if (!error) continue;
      sum += *error;
      score.origins += upper.size();
    }
    if (score.origins >= kLeastPredicted)
      score.rolling_origin = std::sqrt(sum / static_cast<double>(score.origins));
  }

  const PointTable& points_;
  FitOptions options_;
  Indices order_;
  Residual space_;
};

// Laws whose origins were all the same number of predictions are compared by them; a law without
// them comes after.
bool Better(const LawScore& a, const LawScore& b, bool by_extrapolation) {
  if (a.failure.empty() != b.failure.empty()) return a.failure.empty();
  if (by_extrapolation && a.rolling_origin.has_value() != b.rolling_origin.has_value())
    return a.rolling_origin.has_value();
  if (by_extrapolation && a.rolling_origin) return *a.rolling_origin < *b.rolling_origin;
  return a.aicc < b.aicc;
}

std::string Reason(const LawChoice& choice, bool by_extrapolation) {
  const LawScore& best = choice.scores.front();
  std::string text;
  if (by_extrapolation && best.rolling_origin) {
    text = fmt::format(
        "{} extrapolates best: fitted below and scored above, its error is {:.4g} over {} "
        "predictions",
        best.law,
        *best.rolling_origin,
        best.origins);
  } else {
    text = fmt::format("{} has the lowest AICc ({:.2f}); too few points to score extrapolation",
                       best.law,
                       best.aicc);
  }
  if (choice.scores.size() < 2 || !choice.scores[1].failure.empty()) return text;
  const LawScore& next = choice.scores[1];
  if (by_extrapolation && next.rolling_origin) {
    return text + fmt::format(" ({} comes next with {:.4g})", next.law, *next.rolling_origin);
  }
  return text + fmt::format(" ({} comes next with AICc {:.2f})", next.law, next.aicc);
}

}  // namespace

double Aicc(std::size_t points, double squares, std::size_t parameters) {
  const auto n = static_cast<double>(points);
  const auto k = static_cast<double>(parameters + 1);
  if (n - k - 1 <= 0) return std::numeric_limits<double>::infinity();
  return n * std::log(std::max(squares, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1);
}

PointTable AsVariablesOf(const Law& law, PointTable points) {
  for (std::string& variable : points.variables) {
    const std::string other = variable == "C" ? "x" : variable == "x" ? "C" : "";
    const auto has = [&](const std::string& name) {
      return std::find(law.variables.begin(), law.variables.end(), name) != law.variables.end();
    };
    if (!has(variable) && !other.empty() && has(other) && !points.Has(other)) variable = other;
  }
  return points;
}

std::vector<std::string> LawsFor(const std::vector<std::string>& variables) {
  const auto has = [&](const std::string& name) {
    return std::find(variables.begin(), variables.end(), name) != variables.end();
  };
  std::vector<std::string> names;
  for (const Law& law : Laws()) {
    const bool all =
        std::all_of(law.variables.begin(), law.variables.end(), [&](const std::string& v) {
          return has(v) || (v == "x" && has("C")) || (v == "C" && has("x"));
        });
    // A law of fewer variables than were mapped would ignore what varies.
    const bool uses_all = law.variables.size() == variables.size() ||
                          (has("C") && has("x") && law.variables.size() == 1);
    if (all && uses_all) names.push_back(law.name);
  }
  return names;
}

LawChoice ChooseLaw(const PointTable& given,
                    const FitOptions& options,
                    const std::vector<std::string>& names) {
  CheckPoints(given);
  const std::string along = given.Has("C") ? "C" : given.variables.front();
  const PointTable points = Select(given, options.select, along).points;
  const std::vector<std::string> candidates = names.empty() ? LawsFor(given.variables) : names;
  LawChoice choice;
  choice.scores.resize(candidates.size());
  ParallelFor(candidates.size(), options.threads, [&](std::size_t i) {
    choice.scores[i] = Scorer(points, options).Score(candidates[i]);
  });
  // Scores over different predictions are not comparable: extrapolation decides among the laws that
  // made as many as any.
  std::size_t most = 0;
  for (const LawScore& score : choice.scores)
    most = std::max(most, score.rolling_origin ? score.origins : 0);
  for (LawScore& score : choice.scores) {
    if (score.origins < most) score.rolling_origin.reset();
  }
  const bool by_extrapolation = most > 0;
  std::stable_sort(
      choice.scores.begin(), choice.scores.end(), [&](const LawScore& a, const LawScore& b) {
        return Better(a, b, by_extrapolation);
      });
  if (choice.scores.empty() || !choice.scores.front().failure.empty()) {
    throw Failure(FailureCode::kData,
                  choice.scores.empty() ? "no law has exactly these variables"
                                        : "no law can be fitted: " + choice.scores.front().failure);
  }
  choice.chosen = choice.scores.front().law;
  choice.reason = Reason(choice, by_extrapolation);
  return choice;
}

FitReport FitChosenLaw(const PointTable& points, const FitOptions& options) {
  const LawChoice choice = ChooseLaw(points, options);
  FitOptions chosen = options;
  chosen.law = choice.chosen;
  FitReport report = Fit(AsVariablesOf(FindLaw(choice.chosen), points), chosen);
  report.law_choice = ToJson(choice);
  report.warnings.push_back("law chosen from the same points: " + choice.reason +
                            "; the intervals do not include the choice");
  return report;
}

Json ToJson(const LawChoice& choice) {
  const auto or_null = [](const std::optional<double>& v) {
    return v && std::isfinite(*v) ? Json(*v) : Json(nullptr);
  };
  Json scores = Json::array();
  for (const LawScore& score : choice.scores) {
    scores.push_back({{"law", score.law},
                      {"parameters", score.parameters},
                      {"aicc", or_null(score.aicc)},
                      {"leave_one_out", or_null(score.leave_one_out)},
                      {"rolling_origin", or_null(score.rolling_origin)},
                      {"predictions", score.origins},
                      {"failure", score.failure}});
  }
  return {{"chosen", choice.chosen}, {"reason", choice.reason}, {"scores", scores}};
}

}  // namespace sweep
