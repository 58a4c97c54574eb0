#include <fmt/format.h>

#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLogScale = 18.420680743952367;  // ln 1e8
enum { kK, kA, kB, kParameters };

struct InverseTokensFormula {
  static constexpr Returns kReturns = Returns::kValue;
  std::vector<double> log_size;   // ln(N / 1e8)
  std::vector<double> log_ratio;  // ln(T0 / T)

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    using std::exp;
    using std::expm1;
    return exp(u[kK] - u[kA] * log_size[i]) * expm1(exp(u[kB]) * log_ratio[i]);
  }
};

InverseTokensFormula Bound(const PointTable& points, const Constants& constants) {
  InverseTokensFormula formula{Logarithms(points, "N", 1), Logarithms(points, "T", -1)};
  for (double& value : formula.log_size) value -= kLogScale;
  for (double& value : formula.log_ratio) value += std::log(constants.at("T0"));
  return formula;
}

// A grid over both exponents; k by least squares.
Starts InverseTokensStarts(const StartRequest& request) {
  const InverseTokensFormula formula = Bound(request.points, request.constants);
  Starts starts;
  for (const double a : {-0.5, 0.0, 0.3, 0.6, 1.0, 1.5}) {
    for (const double b : {0.25, 0.5, 1.0, 1.5, 2.5}) {
      double xy = 0;
      double xx = 1e-300;
      const double unit[] = {0, a, std::log(b)};
      for (std::size_t i = 0; i < request.points.size(); ++i) {
        const double x = formula(i, unit);
        xy += request.points.Weight(i) * x * request.points.y[i];
        xx += request.points.Weight(i) * x * x;
      }
      starts.push_back({std::log(std::max(xy / xx, 1e-12)), a, std::log(b)});
    }
  }
  return starts;
}

// The smallest number of tokens that costs no more than the tolerated drop (in the drop's own
// unit), for each size.
std::map<std::string, double> SmallestTokens(const PointTable& points,
                                             std::span<const double> p,
                                             const Constants& constants) {
  std::map<std::string, double> tokens;
  for (const double size : points.Column("N")) {
    const double reach = constants.at("tolerance") / (p[kK] * std::pow(size / 1e8, -p[kA]));
    tokens[fmt::format("tokens_at_drop_{:g}_N_{:g}", constants.at("tolerance"), size)] =
        constants.at("T0") / std::pow(1 + reach, 1 / p[kB]);
  }
  return tokens;
}

}  // namespace

Law InverseTokensLaw() {
  return {.name = "inverse_tokens",
          .formula = "k * (N/1e8)^-a * ((T0/T)^b - 1)",
          .latex = R"(<k> \, (N / 10^{8})^{-<a>} \left( (<T0> / T)^{<b>} - 1 \right))",
          .code = {.lines = {}, .result = "k * pow(N / 1e8, -a) * expm1(b * log(T0 / T))"},
          .source =
              "form fitted to the curves of Li et al. 2023, CLIPA (arXiv:2305.07017): larger "
              "models bear shorter sequences",
          .variables = {"N", "T"},
          .parameters = {{.name = "k",
                          .transform = Transform::kLog,
                          .lower = 0,
                          .upper = kInfinity,
                          .meaning = "drop at N = 1e8, T = T0/2, b = 1"},
                         {.name = "a", .meaning = "how fast the drop falls with size"},
                         {.name = "b",
                          .transform = Transform::kLog,
                          .lower = 0,
                          .upper = kInfinity,
                          .meaning = "how fast it rises with the reduction T0/T"}},
          .constants = {{"T0", 197}, {"tolerance", 1}},
          .bind =
              [](const PointTable& points, const Constants& constants) {
                return BindDual<kParameters>(points.size(), Bound(points, constants));
              },
          .starts = InverseTokensStarts,
          .says_nothing =
              [](const PointTable& points, std::size_t i, const Constants& constants) {
                return points.Column("T")[i] == constants.at("T0");
              },
          .derived = SmallestTokens};
}

}  // namespace sweep
