#include "fit/laws/laws.h"
#include "fit/monomials.h"

namespace sweep {
namespace {

constexpr std::size_t kStarts = 48;
constexpr ExponentRange kExponents = {-2.5, -0.01};

std::vector<Monomial> Terms(const PointTable& points) {
  return {{.coefficient = 0},
          {.coefficient = 1, .exponent = 2, .slope = Logarithms(points, "C", 1)}};
}

}  // namespace

Law PowerFloorLaw() {
  return {
      .name = "power_floor",
      .formula = "e_inf + beta * C^alpha",
      .latex = R"(<e_inf> + <beta> \, C^{<alpha>})",
      .code = {.lines = {}, .result = "e_inf + beta * pow(C, alpha)"},
      .source = "Rosenfeld et al. 2020; Henighan et al. 2020",
      .variables = {"C"},
      .parameters = {{.name = "e_inf",
                      .transform = Transform::kLog,
                      .lower = 0,
                      .can_vanish = true,
                      .meaning = "what no compute removes"},
                     {.name = "beta",
                      .transform = Transform::kLog,
                      .lower = 0,
                      .meaning = "reducible part at C = 1"},
                     {.name = "alpha", .meaning = "exponent with its sign: negative when y falls"}},
      .bind = [](const PointTable& points,
                 const Constants&) { return BindMonomials(points.size(), 3, Terms(points)); },
      .starts =
          [](const StartRequest& request) {
            return MonomialStarts(request.points,
                                  3,
                                  Terms(request.points),
                                  {kExponents},
                                  request.count > 0 ? request.count : kStarts,
                                  request.seed);
          }};
}

}  // namespace sweep
