#include <algorithm>
#include <cmath>

#include "fit/dual.h"
#include "fit/laws/laws.h"
#include "fit/projection.h"
#include "fit/vector_math.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kStarts = 80;
enum { kA, kB, kC, kD, kParameters };

// T = exp(ua) (C + exp(ub))^c and F = exp(ud), in closed form because this law is fitted by the
// thousand: the derivatives of ln T are 1, c w, ln(C + b) and 0 with w = b / (C + b), and those of
// w are w (1 - w).
class OffsetLaw : public BoundLaw {
 public:
  explicit OffsetLaw(std::vector<double> compute) : compute_(std::move(compute)) {}
  std::size_t points() const override { return compute_.size(); }
  std::size_t parameters() const override { return kParameters; }

  // Scratch: ln(C + b), w, T, and T's share of the sum, n values each.
  void Evaluate(std::span<const double> u,
                Residual space,
                bool derivatives,
                Evaluation& out) const override {
    const std::size_t n = points();
    out.value.resize(n);
    out.scratch.resize(4 * n);
    double* const log_sum = out.scratch.data();
    double* const w = log_sum + n;
    double* const term = w + n;
    double* const share = term + n;
    const double b = std::exp(u[kB]);
    const double floor = std::exp(u[kD]);
    for (std::size_t i = 0; i < n; ++i) log_sum[i] = compute_[i] + b;
    for (std::size_t i = 0; i < n; ++i) w[i] = b / log_sum[i];
    LogInPlace(log_sum, n);
    for (std::size_t i = 0; i < n; ++i) term[i] = u[kA] + u[kC] * log_sum[i];
    ExpInPlace(term, n);
    for (std::size_t i = 0; i < n; ++i) out.value[i] = term[i] + floor;
    for (std::size_t i = 0; i < n; ++i) share[i] = term[i] / out.value[i];
    if (space == Residual::kLog) LogInPlace(out.value.data(), n);
    if (derivatives) Jacobian(u, space, floor, out);
  }

  void AddCurvature(std::span<const double> u,
                    Residual space,
                    const Evaluation& last,
                    std::span<const double> factors,
                    double* h) const override {
    const std::size_t n = points();
    const double* log_sum = last.scratch.data();
    const double* w = log_sum + n;
    const double* weight = space == Residual::kLog ? w + 2 * n : w + n;
    const double* j = last.jacobian.data();
    for (std::size_t i = 0; i < n; ++i) {
      const double f = factors[i] * weight[i];
      const double bend = u[kC] * w[i];
      h[kA * kParameters + kA] += f;
      h[kB * kParameters + kA] += f * bend;
      h[kB * kParameters + kB] += f * (bend * bend + bend * (1 - w[i]));
      h[kC * kParameters + kA] += f * log_sum[i];
      h[kC * kParameters + kB] += f * (bend * log_sum[i] + w[i]);
      h[kC * kParameters + kC] += f * log_sum[i] * log_sum[i];
      h[kD * kParameters + kD] += factors[i] * j[kD * n + i];
    }
    if (space != Residual::kLog) return;
    for (std::size_t a = 0; a < kParameters; ++a) {
      for (std::size_t b = 0; b <= a; ++b)
        h[a * kParameters + b] -= Dot3(factors.data(), j + a * n, j + b * n, n);
    }
  }

 private:
  void Jacobian(std::span<const double> u, Residual space, double floor, Evaluation& out) const {
    const std::size_t n = points();
    out.jacobian.resize(kParameters * n);
    const double* log_sum = out.scratch.data();
    const double* w = log_sum + n;
    const double* weight = space == Residual::kLog ? w + 2 * n : w + n;
    double* const j = out.jacobian.data();
    for (std::size_t i = 0; i < n; ++i) {
      j[kA * n + i] = weight[i];
      j[kB * n + i] = weight[i] * u[kC] * w[i];
      j[kC * n + i] = weight[i] * log_sum[i];
      j[kD * n + i] = space == Residual::kLog ? 1 - weight[i] : floor;
    }
  }

  std::vector<double> compute_;
};

// A grid over (ln b, c), from far below the smallest C to far above the largest; a and d by
// projection.
Starts OffsetStarts(const StartRequest& request) {
  const std::vector<double>& compute = request.points.Column("C");
  const auto [least, most] = std::minmax_element(compute.begin(), compute.end());
  const double low = std::log(*least);
  const double high = std::log(*most);
  const std::size_t count = request.count > 0 ? request.count : kStarts;
  const auto offsets = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::size_t powers = (count + offsets - 1) / offsets;
  const std::vector<double> floor(compute.size(), 1);
  Starts starts;
  for (std::size_t o = 0; o < offsets; ++o) {
    const double log_b =
        low - 3 + (static_cast<double>(o) + 0.5) / static_cast<double>(offsets) * (high - low + 5);
    std::vector<double> logs = compute;
    for (double& value : logs) value += std::exp(log_b);
    LogInPlace(logs.data(), logs.size());
    const double middle = LogAddExp(log_b, 0.5 * (low + high));
    for (std::size_t e = 0; e < powers; ++e) {
      const double c =
          -0.03 * std::pow(100, (static_cast<double>(e) + 0.5) / static_cast<double>(powers));
      std::vector<double> column;
      for (const double value : logs) column.push_back(c * (value - middle));
      ExpInPlace(column.data(), column.size());
      const std::vector<double> ad = RelativeCoefficients(request.points, {column, floor});
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
          .latex = R"(<d> + <a> \, (C + <b>)^{<c>})",
          .code = {.lines = {}, .result = "d + a * pow(C + b, c)"},
          .source = "Zhai et al. 2022, Scaling vision transformers (arXiv:2106.04560)",
          .variables = {"C"},
          .parameters = {positive("a", "reducible part at C + b = 1", false),
                         positive("b", "offset: below it y saturates", true),
                         {.name = "c", .upper = 0, .meaning = "exponent with its sign"},
                         positive("d", "what no compute removes", true)},
          .bind = [](const PointTable& points,
                     const Constants&) { return std::make_unique<OffsetLaw>(points.Column("C")); },
          .starts = OffsetStarts,
          .finishers = 3};
}

}  // namespace sweep
