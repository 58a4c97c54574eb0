#include "fit/laws/laws.h"
#include "fit/monomials.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kStarts = 200;
constexpr ExponentRange kExponents = {0.02, 1.5};
enum { kE, kA, kB, kAlpha, kBeta, kParameters };

std::vector<Monomial> Terms(const PointTable& points) {
  return {{.coefficient = kE},
          {.coefficient = kA, .exponent = kAlpha, .slope = Logarithms(points, "N", -1)},
          {.coefficient = kB, .exponent = kBeta, .slope = Logarithms(points, "D", -1)}};
}

// The 4,500 starts of Hoffmann et al. 2022, appendix D.3.
Starts DeclaredGrid() {
  Starts starts;
  for (const double alpha : {0.0, 0.5, 1.0, 1.5, 2.0}) {
    for (const double beta : {0.0, 0.5, 1.0, 1.5, 2.0}) {
      for (const double e : {-1.0, -0.5, 0.0, 0.5, 1.0}) {
        for (int a = 0; a <= 25; a += 5) {
          for (int b = 0; b <= 25; b += 5) {
            starts.push_back({e, static_cast<double>(a), static_cast<double>(b), alpha, beta});
          }
        }
      }
    }
  }
  return starts;
}

Starts ChinchillaStarts(const StartRequest& request) {
  if (request.grid) return DeclaredGrid();
  return MonomialStarts(request.points,
                        kParameters,
                        Terms(request.points),
                        {kExponents, kExponents},
                        request.count > 0 ? request.count : kStarts,
                        request.seed);
}

}  // namespace

Law ChinchillaLaw() {
  const auto positive = [](const char* name, const char* meaning, bool vanishes = false) {
    return Parameter{.name = name,
                     .transform = Transform::kLog,
                     .lower = 0,
                     .upper = kInfinity,
                     .can_vanish = vanishes,
                     .meaning = meaning};
  };
  return {.name = "chinchilla",
          .formula = "E + A * N^-alpha + B * D^-beta",
          .latex = R"(<E> + <A> \, N^{-<alpha>} + <B> \, D^{-<beta>})",
          .code = {.lines = {}, .result = "E + A * pow(N, -alpha) + B * pow(D, -beta)"},
          .source = "Hoffmann et al. 2022 (arXiv:2203.15556), approach 3",
          .variables = {"N", "D"},
          .parameters =
              {positive("E", "what neither size nor data removes", true),
               positive("A", "size part at N = 1"),
               positive("B", "data part at D = 1"),
               {.name = "alpha", .lower = 0, .meaning = "exponent of size, positive when y falls"},
               {.name = "beta", .lower = 0, .meaning = "exponent of data, positive when y falls"}},
          .bind =
              [](const PointTable& points, const Constants&) {
                return BindMonomials(points.size(), kParameters, Terms(points));
              },
          .starts = ChinchillaStarts};
}

}  // namespace sweep
