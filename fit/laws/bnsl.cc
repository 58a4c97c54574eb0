#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Inner parameters: ln a, ln b, c0, then (c_i, ln d_i, ln f_i) for each break.
enum { kA, kB, kC0, kFirstBreak };

template <std::size_t kBreaks>
struct BrokenFormula {
  static constexpr Returns kReturns = Returns::kLogarithm;
  std::vector<double> log_x;

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    using std::exp;
    T sum = u[kB] - u[kC0] * log_x[i];
    for (std::size_t k = 0; k < kBreaks; ++k) {
      const T* p = u + kFirstBreak + 3 * k;
      const T f = exp(p[2]);
      sum = sum - p[0] * f * Softplus((log_x[i] - p[1]) / f);
    }
    return LogAddExp(u[kA], sum);
  }
};

// With the floor, the places and the sharpness of the breaks chosen, ln(y - a) is linear in ln b,
// c0 and the c_i.
std::vector<double> LinearPart(const PointTable& points,
                               const std::vector<double>& log_x,
                               double floor,
                               const std::vector<double>& places,
                               const std::vector<double>& sharpness) {
  const auto n = static_cast<Eigen::Index>(log_x.size());
  const auto breaks = static_cast<Eigen::Index>(places.size());
  Eigen::MatrixXd design(n, 2 + breaks);
  Eigen::VectorXd target(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const double x = log_x[static_cast<std::size_t>(i)];
    target(i) = std::log(points.y[static_cast<std::size_t>(i)] - floor);
    design(i, 0) = 1;
    design(i, 1) = -x;
    for (Eigen::Index k = 0; k < breaks; ++k) {
      const double f = sharpness[static_cast<std::size_t>(k)];
      design(i, 2 + k) = -f * Softplus((x - places[static_cast<std::size_t>(k)]) / f);
    }
  }
  const Eigen::VectorXd solved = design.colPivHouseholderQr().solve(target);
  return {solved.data(), solved.data() + solved.size()};
}

template <std::size_t kBreaks>
Starts BrokenStarts(const StartRequest& request) {
  const std::vector<double> log_x = Logarithms(request.points, "x", 1);
  const auto [left, right] = std::minmax_element(log_x.begin(), log_x.end());
  const double lowest = *std::min_element(request.points.y.begin(), request.points.y.end());
  const std::size_t count = request.count > 0 ? request.count : 150 * kBreaks;
  Starts starts;
  for (std::size_t s = 0; s < count; ++s) {
    const std::vector<double> at = LowDiscrepancyPoint(s, 1 + 2 * kBreaks, request.seed);
    const double floor = lowest * (1e-6 + 0.98 * at[0] * at[0]);
    std::vector<double> places, sharpness;
    for (std::size_t k = 0; k < kBreaks; ++k) {
      places.push_back(*left + (0.05 + 0.9 * at[1 + k]) * (*right - *left));
      sharpness.push_back(0.05 * std::pow(40, at[1 + kBreaks + k]));
    }
    std::sort(places.begin(), places.end());
    const std::vector<double> linear = LinearPart(request.points, log_x, floor, places, sharpness);
    std::vector<double> start = {std::log(floor), linear[0], linear[1]};
    for (std::size_t k = 0; k < kBreaks; ++k) {
      start.insert(start.end(), {linear[2 + k], places[k], std::log(sharpness[k])});
    }
    starts.push_back(std::move(start));
  }
  return starts;
}

std::vector<Parameter> Parameters(std::size_t breaks) {
  std::vector<Parameter> parameters = {
      {.name = "a",
       .transform = Transform::kLog,
       .lower = 0,
       .upper = kInfinity,
       .can_vanish = true,
       .meaning = "what no x removes"},
      {.name = "b",
       .transform = Transform::kLog,
       .lower = 0,
       .upper = kInfinity,
       .meaning = "scale"},
      {.name = "c0", .meaning = "exponent before the first break, positive when y falls"}};
  for (std::size_t k = 1; k <= breaks; ++k) {
    parameters.push_back({.name = fmt::format("c{}", k),
                          .meaning = fmt::format("change of exponent at break {}", k)});
    parameters.push_back({.name = fmt::format("d{}", k),
                          .transform = Transform::kLog,
                          .lower = 0,
                          .upper = kInfinity,
                          .meaning = fmt::format("place of break {}", k)});
    parameters.push_back({.name = fmt::format("f{}", k),
                          .transform = Transform::kLog,
                          .lower = 0,
                          .upper = kInfinity,
                          .meaning = fmt::format("width of break {}, small when sharp", k)});
  }
  return parameters;
}

std::string Latex(std::size_t breaks) {
  std::string text = R"(<a> + <b> \, x^{-<c0>})";
  for (std::size_t k = 1; k <= breaks; ++k)
    text +=
        fmt::format(R"( \left(1 + (x / <d{0}>)^{{1/<f{0}>}}\right)^{{-<c{0}> \cdot <f{0}>}})", k);
  return text;
}

// Each break as exp(-c f ln(1 + exp(s))), which no x overflows.
LawCode Code(std::size_t breaks) {
  LawCode code;
  code.result = "a + b * pow(x, -c0)";
  for (std::size_t k = 1; k <= breaks; ++k) {
    code.lines.push_back({fmt::format("s{}", k), fmt::format("log(x / d{0}) / f{0}", k)});
    code.result +=
        fmt::format(" * exp(-c{0} * f{0} * (max(s{0}, 0.0) + log1p(exp(-abs(s{0})))))", k);
  }
  return code;
}

template <std::size_t kBreaks>
Law BrokenLaw() {
  return {
      .name = fmt::format("bnsl{}", kBreaks),
      .formula = fmt::format(
          "a + b * x^-c0 * product over i = 1..{} of (1 + (x/d_i)^(1/f_i))^(-c_i*f_i)", kBreaks),
      .latex = Latex(kBreaks),
      .code = Code(kBreaks),
      .source = "Caballero et al. 2023, Broken neural scaling laws (arXiv:2210.14891)",
      .variables = {"x"},
      .parameters = Parameters(kBreaks),
      .bind =
          [](const PointTable& points, const Constants&) {
            return BindDual<3 + 3 * kBreaks>(points.size(),
                                             BrokenFormula<kBreaks>{Logarithms(points, "x", 1)});
          },
      .starts = BrokenStarts<kBreaks>};
}

}  // namespace

Law Bnsl1Law() {
  return BrokenLaw<1>();
}
Law Bnsl2Law() {
  return BrokenLaw<2>();
}
Law Bnsl3Law() {
  return BrokenLaw<3>();
}

}  // namespace sweep
