#include "fit/monomials.h"

#include <algorithm>
#include <cmath>

#include "fit/sequences.h"
#include "fit/vector_math.h"

namespace sweep {
namespace {

class MonomialSum : public BoundLaw {
 public:
  MonomialSum(std::size_t points, std::size_t parameters, std::vector<Monomial> terms)
      : points_(points), parameters_(parameters), terms_(std::move(terms)) {}

  std::size_t points() const override { return points_; }
  std::size_t parameters() const override { return parameters_; }

  void Evaluate(std::span<const double> inner,
                Residual space,
                bool derivatives,
                Evaluation& out) const override {
    Exponentials(inner, space, out);
    if (derivatives) Jacobian(out);
  }

  // With e_k the term (its share of the sum in log space) and g_k = (1, slope) its own gradient:
  // second derivative = sum e_k g_k g_k', minus the gradient's outer product in log space.
  void AddCurvature(std::span<const double>,
                    Residual space,
                    const Evaluation& last,
                    std::span<const double> factors,
                    double* curvature) const override {
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      AddTermCurvature(terms_[k], &last.scratch[k * points_], factors, curvature);
    }
    if (space == Residual::kLog) SubtractOuterProducts(last, factors, curvature);
  }

 private:
  // Leaves each term in scratch (its share of the sum in log space) and the sum (its logarithm) in
  // value.
  void Exponentials(std::span<const double> inner, Residual space, Evaluation& out) const {
    const std::size_t n = points_;
    out.scratch.resize(n * (terms_.size() + 2));
    out.value.resize(n);
    double* const terms = out.scratch.data();
    double* const top = terms + n * terms_.size();
    double* const sum = out.value.data();
    for (std::size_t k = 0; k < terms_.size(); ++k) Exponents(terms_[k], inner, terms + k * n);
    if (space == Residual::kLog) {
      SubtractTop(terms, top);
    }
    ExpInPlace(terms, n * terms_.size());
    std::copy_n(terms, n, sum);
    for (std::size_t k = 1; k < terms_.size(); ++k) {
      for (std::size_t i = 0; i < n; ++i) sum[i] += terms[k * n + i];
    }
    if (space == Residual::kLog) Normalise(terms, top, sum);
  }

  void Exponents(const Monomial& term, std::span<const double> inner, double* out) const {
    const double scale = inner[static_cast<std::size_t>(term.coefficient)];
    if (term.exponent == Monomial::kNone) {
      std::fill_n(out, points_, scale);
      return;
    }
    const double exponent = inner[static_cast<std::size_t>(term.exponent)];
    const double* slope = term.slope.data();
    for (std::size_t i = 0; i < points_; ++i) out[i] = scale + exponent * slope[i];
  }

  void SubtractTop(double* terms, double* top) const {
    const std::size_t n = points_;
    std::copy_n(terms, n, top);
    for (std::size_t k = 1; k < terms_.size(); ++k) {
      for (std::size_t i = 0; i < n; ++i) top[i] = std::max(top[i], terms[k * n + i]);
    }
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      for (std::size_t i = 0; i < n; ++i) terms[k * n + i] -= top[i];
    }
  }

  void Normalise(double* terms, double* top, double* sum) const {
    const std::size_t n = points_;
    double* const inverse = top + n;
    for (std::size_t i = 0; i < n; ++i) inverse[i] = 1 / sum[i];
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      for (std::size_t i = 0; i < n; ++i) terms[k * n + i] *= inverse[i];
    }
    LogInPlace(sum, n);
    for (std::size_t i = 0; i < n; ++i) sum[i] += top[i];
  }

  void Jacobian(Evaluation& out) const {
    const std::size_t n = points_;
    out.jacobian.assign(parameters_ * n, 0);
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      const double* share = &out.scratch[k * n];
      double* by_coefficient = &out.jacobian[static_cast<std::size_t>(terms_[k].coefficient) * n];
      for (std::size_t i = 0; i < n; ++i) by_coefficient[i] += share[i];
      if (terms_[k].exponent == Monomial::kNone) continue;
      const double* slope = terms_[k].slope.data();
      double* by_exponent = &out.jacobian[static_cast<std::size_t>(terms_[k].exponent) * n];
      for (std::size_t i = 0; i < n; ++i) by_exponent[i] += share[i] * slope[i];
    }
  }

  void AddTermCurvature(const Monomial& term,
                        const double* share,
                        std::span<const double> factors,
                        double* curvature) const {
    const auto c = static_cast<std::size_t>(term.coefficient);
    curvature[c * parameters_ + c] += Dot(factors.data(), share, points_);
    if (term.exponent == Monomial::kNone) return;
    const auto e = static_cast<std::size_t>(term.exponent);
    const double* slope = term.slope.data();
    curvature[std::max(c, e) * parameters_ + std::min(c, e)] +=
        Dot3(factors.data(), share, slope, points_);
    double square = 0;
    for (std::size_t i = 0; i < points_; ++i) square += factors[i] * share[i] * slope[i] * slope[i];
    curvature[e * parameters_ + e] += square;
  }

  void SubtractOuterProducts(const Evaluation& last,
                             std::span<const double> factors,
                             double* curvature) const {
    for (std::size_t a = 0; a < parameters_; ++a) {
      for (std::size_t b = 0; b <= a; ++b) {
        const double* ja = &last.jacobian[a * points_];
        const double* jb = &last.jacobian[b * points_];
        curvature[a * parameters_ + b] -= Dot3(factors.data(), ja, jb, points_);
      }
    }
  }

  std::size_t points_;
  std::size_t parameters_;
  std::vector<Monomial> terms_;
};

}  // namespace

std::vector<double> Logarithms(const PointTable& points, std::string_view variable, double sign) {
  std::vector<double> logs;
  for (const double value : points.Column(variable)) logs.push_back(sign * std::log(value));
  return logs;
}

std::unique_ptr<BoundLaw> BindMonomials(std::size_t points,
                                        std::size_t parameters,
                                        std::vector<Monomial> terms) {
  return std::make_unique<MonomialSum>(points, parameters, std::move(terms));
}

}  // namespace sweep
