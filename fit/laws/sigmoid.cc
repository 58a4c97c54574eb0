#include <algorithm>
#include <array>
#include <cmath>

#include "fit/dual.h"
#include "fit/laws/between_levels.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/projection.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kEInf, kE0, kHalf, kS, kCount };

// z = s (ln c_half - ln C).
struct SigmoidCurve {
  static constexpr std::size_t kParameters = kCount;
  using Slope = std::array<double, kParameters>;
  std::vector<double> log_c;

  std::size_t points() const { return log_c.size(); }
  bool Solve(std::span<const double> u, double* z, double*, double*) const {
    const double s = std::exp(u[kS]);
    for (std::size_t i = 0; i < points(); ++i) z[i] = s * (u[kHalf] - log_c[i]);
    return true;
  }
  static double Prepare(std::span<const double> u) { return std::exp(u[kS]); }
  static Slope Slopes(double s, std::size_t, double z, double, double) { return {0, 0, s, z}; }
  static std::array<double, 10> Bends(double s, const Slope&, double z, double, double) {
    return {0, 0, 0, 0, 0, 0, 0, 0, s, z};
  }
};

// A grid over where and how steeply it falls; both levels by projection.
Starts SigmoidStarts(const StartRequest& request) {
  const std::vector<double> logs = Logarithms(request.points, "C", 1);
  const auto [low, high] = std::minmax_element(logs.begin(), logs.end());
  const std::size_t halves = request.count > 0 ? std::max<std::size_t>(request.count / 6, 2) : 10;
  Starts starts;
  for (std::size_t h = 0; h < halves; ++h) {
    const double half =
        *low - 3 +
        (*high - *low + 6) * (static_cast<double>(h) + 0.5) / static_cast<double>(halves);
    for (const double s : {0.1, 0.2, 0.4, 0.8, 1.6, 4.0}) {
      std::vector<double> upper, lower;
      for (const double c : logs) {
        upper.push_back(Logistic(s * (half - c)));
        lower.push_back(1 - upper.back());
      }
      const std::vector<double> levels = RelativeCoefficients(request.points, {lower, upper});
      starts.push_back({std::log(levels[0]), std::log(levels[1]), half, std::log(s)});
    }
  }
  return starts;
}

}  // namespace

Law SigmoidLaw() {
  const auto positive = [](const char* name, const char* meaning, bool vanishes = false) {
    return Parameter{.name = name,
                     .transform = Transform::kLog,
                     .lower = 0,
                     .upper = kInfinity,
                     .can_vanish = vanishes,
                     .meaning = meaning};
  };
  return {.name = "sigmoid",
          .formula = "e_inf + (e_0 - e_inf) / (1 + (C/c_half)^s)",
          .latex = R"(<e_inf> + \frac{<e_0> - <e_inf>}{1 + (C / <c_half>)^{<s>}})",
          .code = {.lines = {}, .result = "e_inf + (e_0 - e_inf) / (1 + pow(C / c_half, s))"},
          .source =
              "logistic in ln C; used for bounded metrics, for instance by Ruan et al. 2024 "
              "(arXiv:2405.10938)",
          .variables = {"C"},
          .parameters = {positive("e_inf", "level at much compute", true),
                         positive("e_0", "level at no compute"),
                         positive("c_half", "compute half-way between"),
                         positive("s", "steepness")},
          .bind =
              [](const PointTable& points, const Constants&) {
                return std::make_unique<BetweenLevels<SigmoidCurve>>(
                    SigmoidCurve{Logarithms(points, "C", 1)});
              },
          .starts = SigmoidStarts};
}

}  // namespace sweep
