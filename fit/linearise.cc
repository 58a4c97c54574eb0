#include "fit/linearise.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace sweep {
namespace {

using Index = Eigen::Index;

std::vector<std::size_t> FreeIndices(const std::vector<bool>& held) {
  std::vector<std::size_t> free;
  for (std::size_t k = 0; k < held.size(); ++k) {
    if (!held[k]) free.push_back(k);
  }
  return free;
}

// Weighted Jacobian of the free parameters, n×m.
Eigen::MatrixXd Jacobian(const Objective& objective, const std::vector<std::size_t>& free) {
  const std::size_t n = objective.points();
  Eigen::MatrixXd jacobian(static_cast<Index>(n), static_cast<Index>(free.size()));
  for (std::size_t f = 0; f < free.size(); ++f) {
    for (std::size_t i = 0; i < n; ++i) {
      jacobian(static_cast<Index>(i), static_cast<Index>(f)) =
          std::sqrt(objective.weight(i)) * objective.jacobian()[free[f] * n + i];
    }
  }
  return jacobian;
}

double SquaredSigma(const Objective& objective, double degrees) {
  double sum = 0;
  for (std::size_t i = 0; i < objective.points(); ++i) {
    sum += objective.weight(i) * objective.residuals()[i] * objective.residuals()[i];
  }
  return std::sqrt(sum / degrees);
}

// 1.4826 times the median absolute residual: what robust losses measure spread by.
double RobustSigma(const Objective& objective) {
  std::vector<double> sizes;
  for (const double r : objective.residuals()) sizes.push_back(std::abs(r));
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return 1.4826 * *middle;
}

// Columns are scaled to length one first, so that the test for a missing rank does not depend on
// units.
std::optional<Eigen::MatrixXd> LeastSquaresCovariance(Eigen::MatrixXd jacobian, double sigma) {
  const Eigen::VectorXd lengths = jacobian.colwise().norm();
  if (!(lengths.minCoeff() > 0)) return std::nullopt;
  jacobian *= lengths.cwiseInverse().asDiagonal();
  const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(jacobian);
  if (qr.rank() < jacobian.cols()) return std::nullopt;
  const Index m = jacobian.cols();
  const Eigen::MatrixXd inverse =
      qr.matrixR().topLeftCorner(m, m).template triangularView<Eigen::Upper>().solve(
          Eigen::MatrixXd::Identity(m, m));
  const Eigen::MatrixXd root =
      lengths.cwiseInverse().asDiagonal() * (qr.colsPermutation() * inverse);
  return sigma * sigma * root * root.transpose();
}

std::optional<Eigen::MatrixXd> SandwichCovariance(Objective& objective,
                                                  const std::vector<double>& inner,
                                                  const std::vector<std::size_t>& free,
                                                  double degrees) {
  const std::size_t p = inner.size();
  std::vector<double> gradient(p);
  std::vector<double> curvature(p * p);
  (void)objective.Linearize(inner, Objective::Curvature::kExact, gradient.data(), curvature.data());
  const auto m = static_cast<Index>(free.size());
  const std::size_t n = objective.points();
  Eigen::MatrixXd bread(m, m);
  Eigen::MatrixXd meat = Eigen::MatrixXd::Zero(m, m);
  Eigen::MatrixXd scores(static_cast<Index>(n), m);
  for (Index a = 0; a < m; ++a) {
    const std::size_t ka = free[static_cast<std::size_t>(a)];
    for (Index b = 0; b < m; ++b) {
      const std::size_t kb = free[static_cast<std::size_t>(b)];
      bread(a, b) = curvature[std::max(ka, kb) * p + std::min(ka, kb)];
    }
    for (std::size_t i = 0; i < n; ++i) {
      scores(static_cast<Index>(i), a) = objective.slopes()[i] * objective.jacobian()[ka * n + i];
    }
  }
  meat = scores.transpose() * scores * (static_cast<double>(n) / degrees);
  const Eigen::LDLT<Eigen::MatrixXd> factor(bread);
  if (factor.info() != Eigen::Success || !factor.isPositive()) return std::nullopt;
  const Eigen::MatrixXd half = factor.solve(meat);
  return Eigen::MatrixXd(factor.solve(half.transpose()));
}

}  // namespace

Linearisation Linearise(const Problem& problem,
                        const std::vector<double>& inner,
                        const std::vector<bool>& held) {
  Linearisation result{.inner = inner};
  const std::vector<std::size_t> free = FreeIndices(held);
  result.degrees = problem.degrees();
  Objective objective = problem.MakeObjective();
  const std::size_t p = inner.size();
  std::vector<double> gradient(p);
  std::vector<double> curvature(p * p);
  (void)objective.Linearize(
      inner, Objective::Curvature::kReweighted, gradient.data(), curvature.data());
  if (result.degrees <= 0 || free.empty()) return result;
  const bool squared = problem.loss.kind == LossKind::kSquared;
  result.sigma = squared ? SquaredSigma(objective, result.degrees) : RobustSigma(objective);
  if (problem.loss.kind == LossKind::kLad)
    return result;  // its curvature is that of the noise's density: bootstrap
  const std::optional<Eigen::MatrixXd> covariance =
      squared ? LeastSquaresCovariance(Jacobian(objective, free), result.sigma)
              : SandwichCovariance(objective, inner, free, result.degrees);
  if (!covariance || !covariance->allFinite()) return result;
  result.covariance.assign(p * p, 0);
  for (std::size_t a = 0; a < free.size(); ++a) {
    for (std::size_t b = 0; b < free.size(); ++b) {
      result.covariance[free[a] * p + free[b]] =
          (*covariance)(static_cast<Index>(a), static_cast<Index>(b));
    }
  }
  return result;
}

std::optional<double> ConditionNumber(const Problem& problem,
                                      const std::vector<double>& inner,
                                      const std::vector<bool>& held) {
  const std::vector<std::size_t> free = FreeIndices(held);
  if (free.empty()) return std::nullopt;
  Objective objective = problem.MakeObjective();
  std::vector<double> gradient(inner.size());
  std::vector<double> curvature(inner.size() * inner.size());
  (void)objective.Linearize(
      inner, Objective::Curvature::kReweighted, gradient.data(), curvature.data());
  Eigen::MatrixXd jacobian = Jacobian(objective, free);
  for (Index k = 0; k < jacobian.cols(); ++k) {
    const double length = jacobian.col(k).norm();
    if (!(length > 0) || !std::isfinite(length)) return std::nullopt;
    jacobian.col(k) /= length;
  }
  const Eigen::MatrixXd triangle = Eigen::HouseholderQR<Eigen::MatrixXd>(jacobian)
                                       .matrixQR()
                                       .topRows(std::min(jacobian.rows(), jacobian.cols()))
                                       .triangularView<Eigen::Upper>();
  const Eigen::VectorXd singular = Eigen::JacobiSVD<Eigen::MatrixXd>(triangle).singularValues();
  const double smallest = singular.size() < jacobian.cols() ? 0 : singular(singular.size() - 1);
  if (!(smallest > 0)) return std::nullopt;
  return singular(0) / smallest;
}

}  // namespace sweep
