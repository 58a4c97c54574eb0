#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/projection.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kStarts = 100;
enum { kNc, kDc, kAlphaN, kAlphaD, kParameters };

struct KaplanFormula {
  static constexpr Returns kReturns = Returns::kLogarithm;
  std::vector<double> log_n;
  std::vector<double> log_d;

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    using std::exp;
    const T ratio = exp(u[kAlphaN] - u[kAlphaD]);
    return exp(u[kAlphaD]) * LogAddExp(ratio * (u[kNc] - log_n[i]), u[kDc] - log_d[i]);
  }
};

// Given both exponents, y^(1/alphaD) = Nc^r N^-r + Dc D^-1 is linear in Nc^r and Dc.
Starts KaplanStarts(const StartRequest& request) {
  const std::vector<double> log_n = Logarithms(request.points, "N", 1);
  const std::vector<double> log_d = Logarithms(request.points, "D", 1);
  const std::size_t n = log_n.size();
  Starts starts;
  for (std::size_t s = 0; s < (request.count > 0 ? request.count : kStarts); ++s) {
    const std::vector<double> at = LowDiscrepancyPoint(s, 2, request.seed);
    const double alpha_n = 0.01 * std::pow(100, at[0]);
    const double alpha_d = 0.01 * std::pow(100, at[1]);
    const double r = alpha_n / alpha_d;
    std::vector<double> target(n), size(n), data(n);
    double mean_y = 0;
    for (const double y : request.points.y) mean_y += std::log(y) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      target[i] =
          std::exp(std::clamp((std::log(request.points.y[i]) - mean_y) / alpha_d, -300.0, 300.0));
      size[i] = std::exp(std::clamp(-r * (log_n[i] - log_n[0]), -300.0, 300.0));
      data[i] = std::exp(log_d[0] - log_d[i]);
    }
    const std::vector<double> c =
        RelativeCoefficients(target, request.points.weights, {size, data});
    starts.push_back({(std::log(c[0]) + mean_y / alpha_d) / r + log_n[0],
                      std::log(c[1]) + mean_y / alpha_d + log_d[0],
                      std::log(alpha_n),
                      std::log(alpha_d)});
  }
  return starts;
}

}  // namespace

Law KaplanLaw() {
  const auto positive = [](const char* name, const char* meaning) {
    return Parameter{.name = name,
                     .transform = Transform::kLog,
                     .lower = 0,
                     .upper = kInfinity,
                     .meaning = meaning};
  };
  return {.name = "kaplan",
          .formula = "((Nc/N)^(alphaN/alphaD) + Dc/D)^alphaD",
          .latex = R"(\left( (<Nc> / N)^{<alphaN> / <alphaD>} + <Dc> / D \right)^{<alphaD>})",
          .code = {.lines = {}, .result = "pow(pow(Nc / N, alphaN / alphaD) + Dc / D, alphaD)"},
          .source = "Kaplan et al. 2020 (arXiv:2001.08361), equation 1.5",
          .variables = {"N", "D"},
          .parameters = {positive("Nc", "scale of size"),
                         positive("Dc", "scale of data"),
                         positive("alphaN", "exponent of size"),
                         positive("alphaD", "exponent of data")},
          .bind =
              [](const PointTable& points, const Constants&) {
                return BindDual<kParameters>(
                    points.size(),
                    KaplanFormula{Logarithms(points, "N", 1), Logarithms(points, "D", 1)});
              },
          .starts = KaplanStarts};
}

}  // namespace sweep
