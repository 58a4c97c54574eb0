#include <algorithm>
#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/projection.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kA, kB, kC, kD, kParameters };

struct OffsetFormula {
  static constexpr Returns kReturns = Returns::kLogarithm;
  std::vector<double> log_c;

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    return LogAddExp(u[kD], u[kA] + u[kC] * LogAddExp(u[kB], T(log_c[i])));
  }
};

std::vector<double> Logs(const PointTable& points) {
  std::vector<double> logs;
  for (const double c : points.Column("C")) logs.push_back(std::log(c));
  return logs;
}

// A grid over (ln b, c), from far below the smallest C to far above the largest; a and d by
// projection.
Starts OffsetStarts(const StartRequest& request) {
  const std::vector<double> logs = Logs(request.points);
  const auto [low, high] = std::minmax_element(logs.begin(), logs.end());
  const std::size_t count = request.count > 0 ? request.count : 80;
  const auto offsets = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::size_t powers = (count + offsets - 1) / offsets;
  Starts starts;
  for (std::size_t o = 0; o < offsets; ++o) {
    const double part = (static_cast<double>(o) + 0.5) / static_cast<double>(offsets);
    const double log_b = *low - 3 + part * (*high - *low + 5);
    for (std::size_t e = 0; e < powers; ++e) {
      const double c =
          -0.03 * std::pow(100, (static_cast<double>(e) + 0.5) / static_cast<double>(powers));
      const double middle = LogAddExp(log_b, 0.5 * (*low + *high));
      std::vector<double> column;
      for (const double log_c : logs)
        column.push_back(std::exp(c * (LogAddExp(log_b, log_c) - middle)));
      const std::vector<double> ad =
          RelativeCoefficients(request.points, {column, std::vector<double>(column.size(), 1)});
      starts.push_back({std::log(ad[0]) - c * middle, log_b, c, std::log(ad[1])});
    }
  }
  return starts;
}

}  // namespace

Law PowerOffsetLaw() {
  const auto positive = [](const char* name, const char* meaning, bool vanishes) {
    return Parameter{.name = name,
                     .transform = Transform::kLog,
                     .lower = 0,
                     .upper = kInfinity,
                     .can_vanish = vanishes,
                     .meaning = meaning};
  };
  return {.name = "power_offset",
          .formula = "d + a * (C + b)^c",
          .source = "Zhai et al. 2022, Scaling vision transformers (arXiv:2106.04560)",
          .variables = {"C"},
          .parameters = {positive("a", "reducible part at C + b = 1", false),
                         positive("b", "offset: below it y saturates", true),
                         {.name = "c", .upper = 0, .meaning = "exponent with its sign"},
                         positive("d", "what no compute removes", true)},
          .bind =
              [](const PointTable& points, const Constants&) {
                return BindDual<kParameters>(points.size(), OffsetFormula{Logs(points)});
              },
          .starts = OffsetStarts};
}

}  // namespace sweep
