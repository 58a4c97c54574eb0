#include <cmath>

#include "fit/laws/laws.h"
#include "fit/monomials.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kStarts = 400;
enum { kEInf, kA, kB, kC, kD, kAlpha, kBeta, kGamma, kSigma, kParameters };

std::vector<double> MinusLogSteps(const PointTable& points) {
  std::vector<double> slope = Logarithms(points, "D", -1);
  const std::vector<double> batch = Logarithms(points, "B", 1);
  for (std::size_t i = 0; i < slope.size(); ++i) slope[i] += batch[i];
  return slope;
}

std::vector<Monomial> Terms(const PointTable& points) {
  return {{.coefficient = kEInf},
          {.coefficient = kA, .exponent = kAlpha, .slope = Logarithms(points, "N", -1)},
          {.coefficient = kB, .exponent = kBeta, .slope = Logarithms(points, "D", -1)},
          {.coefficient = kC, .exponent = kGamma, .slope = Logarithms(points, "B", -1)},
          {.coefficient = kD, .exponent = kSigma, .slope = MinusLogSteps(points)}};
}

Parameter Coefficient(const char* name, const char* meaning) {
  return {.name = name,
          .transform = Transform::kLog,
          .lower = 0,
          .upper = kInfinity,
          .can_vanish = true,
          .meaning = meaning};
}

}  // namespace

Law JointBatchLaw() {
  return {
      .name = "joint_batch",
      .formula = "e_inf + a * N^-alpha + b * D^-beta + c * B^-gamma + d * (D/B)^-sigma",
      .latex = R"(<e_inf> + <a> \, N^{-<alpha>} + <b> \, D^{-<beta>} + <c> \, B^{-<gamma>})"
               R"( + <d> \, (D/B)^{-<sigma>})",
      .code = {.lines = {},
               .result = "e_inf + a * pow(N, -alpha) + b * pow(D, -beta) + c * pow(B, -gamma) "
                         "+ d * pow(D / B, -sigma)"},
      .source =
          "size and data as in Hoffmann et al. 2022; batch and steps after the batch tables of "
          "SigLIP (Zhai et al. 2023)",
      .variables = {"N", "D", "B"},
      .parameters = {Coefficient("e_inf", "what nothing removes"),
                     Coefficient("a", "size part at N = 1"),
                     Coefficient("b", "data part at D = 1"),
                     Coefficient("c", "small-batch part at B = 1"),
                     Coefficient("d", "few-steps part at one step"),
                     {.name = "alpha", .lower = 0, .meaning = "exponent of size", .of = "a"},
                     {.name = "beta", .lower = 0, .meaning = "exponent of data", .of = "b"},
                     {.name = "gamma", .lower = 0, .meaning = "exponent of batch", .of = "c"},
                     {.name = "sigma", .lower = 0, .meaning = "exponent of steps D/B", .of = "d"}},
      .bind =
          [](const PointTable& points, const Constants&) {
            return BindMonomials(points.size(), kParameters, Terms(points));
          },
      .starts =
          [](const StartRequest& request) {
            const ExponentRange range = {0.05, 1.5};
            return MonomialStarts(request.points,
                                  kParameters,
                                  Terms(request.points),
                                  {range, range, range, {0.3, 4}},
                                  request.count > 0 ? request.count : kStarts,
                                  request.seed);
          },
      .derived =
          [](const PointTable& points, std::span<const double> p, const Constants&) {
            // Where the derivative by B of c B^-gamma + d (D/B)^-sigma is zero.
            double data = 0;
            for (const double value : points.Column("D")) data = std::max(data, value);
            const double batch =
                std::pow(p[kC] * p[kGamma] * std::pow(data, p[kSigma]) / (p[kD] * p[kSigma]),
                         1 / (p[kGamma] + p[kSigma]));
            return std::map<std::string, double>{{"best_batch_at_largest_D", batch}};
          }};
}

}  // namespace sweep
