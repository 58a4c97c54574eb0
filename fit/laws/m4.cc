#include <algorithm>
#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kEInf, kE0, kAlpha, kBeta, kC, kParameters };

// With y = e_inf + w s, w = e_0 - e_inf and s = logistic(z), the law is
// ln s - alpha ln(1 - s) = ln beta + c ln x - (1 - alpha) ln w, whose left side rises in z from
// slope 1 to slope alpha.
struct M4Formula {
  static constexpr Returns kReturns = Returns::kValue;
  std::vector<double> log_x;

  static double Solve(double alpha, double target) {
    double z = target < 0 ? target : target / alpha;
    double low = std::min(target, target / alpha) - 1 / std::min(alpha, 1.0);
    double high = std::max(target, target / alpha) + 1 + 1 / alpha;
    for (int round = 0; round < 100; ++round) {
      const double miss = -Softplus(-z) + alpha * Softplus(z) - target;
      (miss > 0 ? high : low) = z;
      const double slope = Logistic(-z) + alpha * Logistic(z);
      double next = z - miss / slope;
      if (!(next > low && next < high)) next = 0.5 * (low + high);
      if (std::abs(next - z) <= 1e-15 * (1 + std::abs(z))) return next;
      z = next;
    }
    return z;
  }

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    using std::exp;
    using std::log;
    const T floor = exp(u[kEInf]);
    const T width = exp(u[kE0]) - floor;
    if (!(ValueOf(width) > 0)) return T(std::numeric_limits<double>::quiet_NaN());
    const T alpha = exp(u[kAlpha]);
    const T target = u[kBeta] + u[kC] * log_x[i] - (1.0 - alpha) * log(width);
    T z = T(Solve(ValueOf(alpha), ValueOf(target)));
    // Newton steps on the exact root give the implicit function's first, then its second
    // derivatives.
    for (int step = 0; step < 2; ++step) {
      const T miss = alpha * Softplus(z) - Softplus(-1.0 * z) - target;
      z = z - miss / (Logistic(-1.0 * z) + alpha * Logistic(z));
    }
    return floor + width * Logistic(z);
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
  return {.name = "m4",
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
                return BindDual<kParameters>(points.size(), M4Formula{Logarithms(points, "x", 1)});
              },
          .starts = M4Starts};
}

}  // namespace sweep
