#include <algorithm>
#include <cmath>

#include "fit/dual_law.h"
#include "fit/laws/laws.h"
#include "fit/monomials.h"

namespace sweep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kStarts = 60;
enum { kE, kA, kB, kAlpha, kBeta, kRStar, kRnStar, kParameters };

struct DataConstrainedFormula {
  static constexpr Returns kReturns = Returns::kLogarithm;
  std::vector<double> log_n, log_d, log_u;  // log_u: of min(U, D)

  // ln of what `repeats` further passes over exp(log_unique) are worth: U + U r (1 - exp(-repeats /
  // r)).
  template <class T>
  static T LogEffective(const T& log_unique, const T& repeats, const T& log_r) {
    using std::exp;
    using std::expm1;
    using std::log;
    const T r = exp(log_r);
    return log_unique + log(1.0 - r * expm1(-1.0 * repeats / r));
  }

  template <class T>
  T operator()(std::size_t i, const T* u) const {
    using std::exp;
    using std::expm1;
    using std::log;
    const T repeats_d = T(std::expm1(log_d[i] - log_u[i]));
    const T data = LogEffective(T(log_u[i]), repeats_d, u[kRStar]);
    // The size that is compute-optimal for the unique data (Hoffmann's G): parameters beyond it
    // count less and less.
    const T log_g = (log(u[kAlpha]) + u[kA] - log(u[kBeta]) - u[kB]) / (u[kAlpha] + u[kBeta]);
    T unique_n = (log_u[i] + log_g) * u[kBeta] / u[kAlpha] + log_g;
    if (!(ValueOf(unique_n) < log_n[i])) unique_n = T(log_n[i]);
    const T size = LogEffective(unique_n, T(expm1(log_n[i] - unique_n)), u[kRnStar]);
    return LogAddExp(u[kE], LogAddExp(u[kA] - u[kAlpha] * size, u[kB] - u[kBeta] * data));
  }
};

std::vector<double> LogUnique(const PointTable& points) {
  std::vector<double> logs = Logarithms(points, "U", 1);
  const std::vector<double> log_d = Logarithms(points, "D", 1);
  for (std::size_t i = 0; i < logs.size(); ++i) logs[i] = std::min(logs[i], log_d[i]);
  return logs;
}

// Chinchilla's starts with all data taken as new, times a few values of the two decay constants.
Starts DataConstrainedStarts(const StartRequest& request) {
  std::vector<Monomial> terms = {
      {.coefficient = kE},
      {.coefficient = kA, .exponent = kAlpha, .slope = Logarithms(request.points, "N", -1)},
      {.coefficient = kB, .exponent = kBeta, .slope = Logarithms(request.points, "D", -1)}};
  const std::size_t count = request.count > 0 ? (request.count + 5) / 6 : kStarts;
  Starts starts;
  for (const std::vector<double>& base : MonomialStarts(
           request.points, kParameters, terms, {{0.05, 1}, {0.05, 1}}, count, request.seed)) {
    for (const double r_star : {2.0, 10.0, 50.0}) {
      for (const double rn_star : {3.0, 30.0}) {
        starts.push_back(base);
        starts.back()[kRStar] = std::log(r_star);
        starts.back()[kRnStar] = std::log(rn_star);
      }
    }
  }
  return starts;
}

}  // namespace

Law DataConstrainedLaw() {
  const auto positive = [](const char* name, const char* meaning, bool vanishes = false) {
    return Parameter{.name = name,
                     .transform = Transform::kLog,
                     .lower = 0,
                     .upper = kInfinity,
                     .can_vanish = vanishes,
                     .meaning = meaning};
  };
  return {
      .name = "data_constrained",
      .formula =
          "E + A * N'^-alpha + B * D'^-beta, D' = U + U*r_star*(1 - exp(-(D/U - 1)/r_star)), "
          "N' likewise from Un = min(N, (U*G)^(beta/alpha)*G) with rn_star, G = "
          "(alpha*A/(beta*B))^(1/(alpha+beta))",
      .latex =
          R"(<E> + <A> \, N'^{-<alpha>} + <B> \, D'^{-<beta>},\ )"
          R"(D' = U \left(1 + <r_star> \left(1 - e^{-(D/U - 1)/<r_star>}\right)\right),\ )"
          R"(N' = U_N \left(1 + <rn_star> \left(1 - e^{-(N/U_N - 1)/<rn_star>}\right)\right),\ )"
          R"(U_N = \min(N, (U G)^{\beta/\alpha} G),\ )"
          R"(G = (\alpha A / (\beta B))^{1/(\alpha + \beta)})",
      .code = {.lines = {{"G", "pow(alpha * A / (beta * B), 1 / (alpha + beta))"},
                         {"u_d", "min(U, D)"},
                         {"u_n", "min(N, pow(u_d * G, beta / alpha) * G)"},
                         {"d_eff", "u_d * (1 + r_star * (1 - exp(-(D / u_d - 1) / r_star)))"},
                         {"n_eff", "u_n * (1 + rn_star * (1 - exp(-(N / u_n - 1) / rn_star)))"}},
               .result = "E + A * pow(n_eff, -alpha) + B * pow(d_eff, -beta)"},
      .source = "Muennighoff et al. 2023 (arXiv:2305.16264)",
      .variables = {"N", "D", "U"},
      .parameters = {positive("E", "what neither size nor data removes", true),
                     positive("A", "size part at N' = 1"),
                     positive("B", "data part at D' = 1"),
                     {.name = "alpha", .lower = 1e-6, .meaning = "exponent of size"},
                     {.name = "beta", .lower = 1e-6, .meaning = "exponent of data"},
                     positive("r_star",
                              "repetitions until repeated data has lost most of its worth"),
                     positive("rn_star",
                              "the same for parameters beyond what the unique data warrants")},
      .bind =
          [](const PointTable& points, const Constants&) {
            return BindDual<kParameters>(
                points.size(),
                DataConstrainedFormula{
                    Logarithms(points, "N", 1), Logarithms(points, "D", 1), LogUnique(points)});
          },
      .starts = DataConstrainedStarts};
}

}  // namespace sweep
