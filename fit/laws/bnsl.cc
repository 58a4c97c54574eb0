#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>

#include "fit/dual.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"
#include "fit/sequences.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Inner parameters: ln a, ln b, c0, then (c_i, ln d_i, ln f_i) for each break.
enum { kA, kB, kC0, kFirstBreak };

// a + T with ln T = ln b - c0 ln x - sum of c f ln(1 + e^z), z = (ln x - ln d) / f. In closed form,
// because twelve dual numbers a point cost ten times as much. With s = ln(1 + e^z) and its slope p,
// the derivatives of ln T by c, ln d and ln f are -f s, c p and c f (p z - s).
template <std::size_t kBreaks>
class BrokenBound : public BoundLaw {
 public:
  explicit BrokenBound(std::vector<double> log_x) : log_x_(std::move(log_x)) {}
  std::size_t points() const override { return log_x_.size(); }
  std::size_t parameters() const override { return kParameters; }

  // Scratch, for each point: T's weight in a derivative of the value, then z, s and p of each
  // break.
  void Evaluate(std::span<const double> u,
                Residual space,
                bool derivatives,
                Evaluation& out) const override {
    const std::size_t n = points();
    out.value.resize(n);
    out.scratch.resize(n * kScratch);
    for (std::size_t i = 0; i < n; ++i) {
      double* const scratch = &out.scratch[i * kScratch];
      const double log_power = LogPower(u, i, scratch + 1);
      const double gap = std::exp(-std::abs(u[kA] - log_power));
      const double log_value = std::max(u[kA], log_power) + std::log1p(gap);
      const double share = log_power > u[kA] ? 1 / (1 + gap) : gap / (1 + gap);
      out.value[i] = space == Residual::kLog ? log_value : std::exp(log_value);
      scratch[0] = space == Residual::kLog ? share : std::exp(log_power);
    }
    if (derivatives) FillJacobian(u, space, out);
  }

  void AddCurvature(std::span<const double> u,
                    Residual space,
                    const Evaluation& last,
                    std::span<const double> factors,
                    double* h) const override {
    const bool log = space == Residual::kLog;
    const double floor = std::exp(u[kA]);
    for (std::size_t i = 0; i < points(); ++i) {
      const double* const scratch = &last.scratch[i * kScratch];
      const Slopes slopes = SlopesOfPower(u, i, scratch + 1);
      const double first = factors[i] * scratch[0];
      const double second = log ? first * (1 - scratch[0]) : first;
      h[0] += log ? second : factors[i] * floor;
      for (std::size_t k = 1; k < kParameters; ++k) {
        if (log) h[k * kParameters] -= second * slopes[k];
        for (std::size_t l = 1; l <= k; ++l)
          h[k * kParameters + l] += second * slopes[k] * slopes[l];
      }
      AddBends(u, scratch + 1, first, h);
    }
  }

 private:
  static constexpr std::size_t kParameters = kFirstBreak + 3 * kBreaks;
  static constexpr std::size_t kScratch = 1 + 3 * kBreaks;
  using Slopes = std::array<double, kParameters>;  // of ln T; nothing by ln a

  double LogPower(std::span<const double> u, std::size_t i, double* zsp) const {
    double sum = u[kB] - u[kC0] * log_x_[i];
    for (std::size_t k = kFirstBreak; k < kParameters; k += 3, zsp += 3) {
      const double f = std::exp(u[k + 2]);
      const double z = (log_x_[i] - u[k + 1]) / f;
      const double e = std::exp(-std::abs(z));
      zsp[0] = z;
      zsp[1] = std::max(z, 0.0) + std::log1p(e);
      zsp[2] = z > 0 ? 1 / (1 + e) : e / (1 + e);
      sum -= u[k] * f * zsp[1];
    }
    return sum;
  }

  Slopes SlopesOfPower(std::span<const double> u, std::size_t i, const double* zsp) const {
    Slopes slopes{};
    slopes[kB] = 1;
    slopes[kC0] = -log_x_[i];
    for (std::size_t k = kFirstBreak; k < kParameters; k += 3, zsp += 3) {
      const double f = std::exp(u[k + 2]);
      slopes[k] = -f * zsp[1];
      slopes[k + 1] = u[k] * zsp[2];
      slopes[k + 2] = u[k] * f * (zsp[2] * zsp[0] - zsp[1]);
    }
    return slopes;
  }

  void FillJacobian(std::span<const double> u, Residual space, Evaluation& out) const {
    const std::size_t n = points();
    const double floor = std::exp(u[kA]);
    out.jacobian.resize(kParameters * n);
    for (std::size_t i = 0; i < n; ++i) {
      const double* const scratch = &out.scratch[i * kScratch];
      const Slopes slopes = SlopesOfPower(u, i, scratch + 1);
      out.jacobian[i] = space == Residual::kLog ? 1 - scratch[0] : floor;
      for (std::size_t k = 1; k < kParameters; ++k)
        out.jacobian[k * n + i] = scratch[0] * slopes[k];
    }
  }

  // `factor` times the second derivatives of ln T.
  static void AddBends(std::span<const double> u, const double* zsp, double factor, double* h) {
    for (std::size_t k = kFirstBreak; k < kParameters; k += 3, zsp += 3) {
      const double c = u[k];
      const double f = std::exp(u[k + 2]);
      const double z = zsp[0], s = zsp[1], p = zsp[2];
      const double bend = p * (1 - p);
      double* const by_d = h + (k + 1) * kParameters;
      double* const by_f = h + (k + 2) * kParameters;
      by_d[k] += factor * p;
      by_d[k + 1] -= factor * c * bend / f;
      by_f[k] += factor * f * (p * z - s);
      by_f[k + 1] -= factor * c * bend * z;
      by_f[k + 2] += factor * c * f * (p * z - s - bend * z * z);
    }
  }

  std::vector<double> log_x_;
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
            return std::make_unique<BrokenBound<kBreaks>>(Logarithms(points, "x", 1));
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
