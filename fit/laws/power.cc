#include <cmath>

#include "fit/laws/laws.h"
#include "fit/line.h"
#include "fit/monomials.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr std::size_t kStarts = 12;

// The least-squares line in log-log first (in log space with squared loss it is the answer), then
// lines through pairs of points: a robust loss may have several optima, and one of them is near a
// line through two good points.
Starts PowerStarts(const StartRequest& request) {
  const std::vector<double> x = Logarithms(request.points, "C", 1);
  std::vector<double> y;
  for (const double value : request.points.y) y.push_back(std::log(std::max(value, 1e-300)));
  const Line line = FitLine(x, y, request.points.weights);
  Starts starts = {{line.intercept, line.slope}};
  Random random(request.seed);
  const std::size_t count = request.count > 0 ? request.count : kStarts;
  for (std::size_t tries = 0; starts.size() < count && tries < 20 * count; ++tries) {
    const std::size_t a = random.Index(x.size());
    const std::size_t b = random.Index(x.size());
    if (x[a] == x[b]) continue;
    const double slope = (y[b] - y[a]) / (x[b] - x[a]);
    starts.push_back({y[a] - slope * x[a], slope});
  }
  return starts;
}

}  // namespace

Law PowerLaw() {
  return {
      .name = "power",
      .formula = "beta * C^alpha",
      .latex = R"(<beta> \, C^{<alpha>})",
      .code = {.lines = {}, .result = "beta * pow(C, alpha)"},
      .source = "Hestness et al. 2017; as used for CLIP by Cherti et al. 2023 (LAION scaling laws)",
      .variables = {"C"},
      .parameters =
          {{.name = "beta", .transform = Transform::kLog, .lower = 0, .meaning = "y at C = 1"},
           {.name = "alpha", .meaning = "exponent with its sign: negative when y falls"}},
      .bind =
          [](const PointTable& points, const Constants&) {
            return BindMonomials(
                points.size(),
                2,
                {{.coefficient = 0, .exponent = 1, .slope = Logarithms(points, "C", 1)}});
          },
      .starts = PowerStarts};
}

}  // namespace sweep
