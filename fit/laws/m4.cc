#include <algorithm>
#include <array>
#include <cmath>

#include "fit/dual.h"
#include "fit/laws/between_levels.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kEInf, kE0, kAlpha, kBeta, kC, kCount };

// With y = e_inf + w S, w = e_0 - e_inf and S = logistic(z), the law is
// ln S - alpha ln(1 - S) = t = ln beta + c ln x - (1 - alpha) ln w, whose left side rises in z from
// slope 1 to slope alpha, bent one way only. What depends on z but is not z itself differentiates
// by the implicit function: z_a = m_a / D with D the left side's slope and m the miss t - left at
// constant z.
struct M4Curve {
  static constexpr std::size_t kParameters = kCount;
  using Slope = std::array<double, kParameters>;
  std::vector<double> log_x;

  struct Shared {
    double alpha, log_width;
    double low, high;  // of the width: e_inf / w, e_0 / w
  };

  std::size_t points() const { return log_x.size(); }

  // Newton's method from where the asymptotes meet t: the left side lies on one side of both and
  // does not bend back, so no step overshoots. It bends no more than it rises, so a step below 1e-8
  // leaves an error below its square.
  bool Solve(std::span<const double> u, double* z, double* decay, double* softplus) const {
    constexpr int kMostRounds = 100;
    const double width = std::exp(u[kE0]) - std::exp(u[kEInf]);
    if (!(width > 0)) return false;
    const std::size_t n = points();
    const double alpha = std::exp(u[kAlpha]);
    const double constant = u[kBeta] - (1 - alpha) * std::log(width);
    for (std::size_t i = 0; i < n; ++i) {
      const double target = constant + u[kC] * log_x[i];
      z[i] = target < 0 ? target : target / alpha;
    }
    std::size_t open = n;
    for (int round = 0; open > 0 && round < kMostRounds; ++round) {
      for (std::size_t i = 0; i < n; ++i) decay[i] = -std::abs(z[i]);
      ExpInPlace(decay, n);
      for (std::size_t i = 0; i < n; ++i) softplus[i] = 1 + decay[i];
      LogInPlace(softplus, n);
      open = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double target = constant + u[kC] * log_x[i];
        const double left = (alpha - 1) * softplus[i] + (z[i] > 0 ? alpha * z[i] : z[i]);
        const double less = decay[i] / (1 + decay[i]);
        const double slope = z[i] > 0 ? alpha + (1 - alpha) * less : 1 + (alpha - 1) * less;
        const double step = (target - left) / slope;
        z[i] += step;
        open += std::abs(step) > 1e-8 + 1e-14 * std::abs(z[i]) ? 1U : 0U;
      }
    }
    return true;
  }

  static Shared Prepare(std::span<const double> u) {
    const double low = std::exp(u[kEInf]);
    const double high = std::exp(u[kE0]);
    const double width = high - low;
    return {std::exp(u[kAlpha]), std::log(width), low / width, high / width};
  }

  Slope Slopes(const Shared& at, std::size_t i, double z, double upper, double lower) const {
    const double inverse = 1 / (lower + at.alpha * upper);
    return {(1 - at.alpha) * at.low * inverse,
            -(1 - at.alpha) * at.high * inverse,
            at.alpha * (at.log_width - Softplus(z)) * inverse,
            inverse,
            log_x[i] * inverse};
  }

  // (m_ab - alpha S (z_a where b is ln alpha, and the other way round) + (1 - alpha) S (1 - S) z_a
  // z_b) / D.
  static std::array<double, 15> Bends(
      const Shared& at, const Slope& slope, double, double upper, double lower) {
    const double inverse = slope[kBeta];
    const double along = (1 - at.alpha) * upper * lower * inverse;
    const double turn = at.alpha * upper * inverse;
    std::array<double, 15> bends{};
    for (std::size_t a = 0, k = 0; a < kParameters; ++a) {
      for (std::size_t b = 0; b <= a; ++b, ++k) {
        bends[k] = along * slope[a] * slope[b];
        if (a == kAlpha) bends[k] -= turn * slope[b];
        if (b == kAlpha) bends[k] -= turn * slope[a];
      }
    }
    const double levels = (1 - at.alpha) * at.low * at.high * inverse;
    bends[0] += levels;
    bends[1] -= levels;
    bends[2] += levels;
    bends[3] -= at.alpha * at.low * inverse;
    bends[4] += at.alpha * at.high * inverse;
    bends[5] += slope[kAlpha];
    return bends;
  }
};

// Levels around the data's range and alpha from a sequence; then ln beta and c are a straight line
// in ln x.
Starts M4Starts(const StartRequest& request) {
  const std::vector<double> x = Logarithms(request.points, "x", 1);
  const auto [low, high] = std::minmax_element(request.points.y.begin(), request.points.y.end());
  const std::size_t count = request.count > 0 ? request.count : 120;
  Starts starts;
  for (std::size_t s = 0; s < count; ++s) {
    const std::vector<double> at = LowDiscrepancyPoint(s, 3, request.seed);
    const double e_inf = *low * (0.02 + 0.97 * at[0]);
    const double e_0 = *high * (1.001 + 3 * at[1] * at[1] * at[1]);
    const double alpha = 0.05 * std::pow(60, at[2]);
    double xm = 0, tm = 0, xx = 0, xt = 0;
    const auto n = static_cast<double>(x.size());
    std::vector<double> t;
    for (const double y : request.points.y)
      t.push_back(std::log(y - e_inf) - alpha * std::log(e_0 - y));
    for (std::size_t i = 0; i < x.size(); ++i) xm += x[i] / n, tm += t[i] / n;
    for (std::size_t i = 0; i < x.size(); ++i)
      xx += (x[i] - xm) * (x[i] - xm), xt += (x[i] - xm) * (t[i] - tm);
    const double c = xt / xx;
    starts.push_back({std::log(e_inf), std::log(e_0), std::log(alpha), tm - c * xm, c});
  }
  return starts;
}

}  // namespace

Law M4Law() {
  const auto positive = [](const char* name, const char* meaning, bool vanishes = false) {
    return Parameter{.name = name,
                     .transform = Transform::kLog,
                     .lower = 0,
                     .upper = kInfinity,
                     .can_vanish = vanishes,
                     .meaning = meaning};
  };
  return {
      .name = "m4",
      .formula = "(y - e_inf) / (e_0 - y)^alpha = beta * x^c, solved for y",
      .latex = R"(y : \ \frac{y - <e_inf>}{(<e_0> - y)^{<alpha>}} = <beta> \, x^{<c>})",
      .code = {.lines = {},
               .result = {},
               .root_low = "e_inf",
               .root_high = "e_0",
               .root_above = "y - e_inf < beta * pow(x, c) * pow(e_0 - y, alpha)"},
      .source = "Alabdulmohsin et al. 2022, Revisiting neural scaling laws (arXiv:2209.06640)",
      .variables = {"x"},
      .parameters = {positive("e_inf", "level at much x", true),
                     positive("e_0", "level at little x (chance)"),
                     positive("alpha", "how the two regimes meet"),
                     positive("beta", "scale"),
                     {.name = "c", .meaning = "exponent with its sign"}},
      .bind =
          [](const PointTable& points, const Constants&) {
            return std::make_unique<BetweenLevels<M4Curve>>(M4Curve{Logarithms(points, "x", 1)});
          },
      .starts = M4Starts};
}

}  // namespace sweep
