#include <algorithm>
#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/projection.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kEInf, kE0, kHalf, kS, kParameters };

struct SigmoidFormula {
  static constexpr Returns kReturns = Returns::kValue;
  std::vector<double> log_c;

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    using std::exp;
    const T part = Logistic(exp(u[kS]) * (u[kHalf] - log_c[i]));
    const T floor = exp(u[kEInf]);
    return floor + (exp(u[kE0]) - floor) * part;
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
                return BindDual<kParameters>(points.size(),
                                             SigmoidFormula{Logarithms(points, "C", 1)});
              },
          .starts = SigmoidStarts};
}

}  // namespace sweep
