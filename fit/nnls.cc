#include "fit/nnls.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace sweep {
namespace {

constexpr int kMost = 8;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, kMost, kMost>;
using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, kMost, 1>;

// Least squares on the coefficients of `passive`, zero elsewhere.
Vector SolvePassive(const Matrix& gram, const Vector& b, const std::vector<Eigen::Index>& passive) {
  const auto k = static_cast<Eigen::Index>(passive.size());
  Matrix part(k, k);
  Vector right(k);
  for (Eigen::Index i = 0; i < k; ++i) {
    right(i) = b(passive[static_cast<std::size_t>(i)]);
    for (Eigen::Index j = 0; j < k; ++j) {
      part(i, j) = gram(passive[static_cast<std::size_t>(i)], passive[static_cast<std::size_t>(j)]);
    }
  }
  const Vector solved = part.ldlt().solve(right);
  Vector x = Vector::Zero(b.size());
  for (Eigen::Index i = 0; i < k; ++i) x(passive[static_cast<std::size_t>(i)]) = solved(i);
  return x;
}

}  // namespace

std::vector<double> NonNegativeLeastSquares(const std::vector<double>& gram,
                                            const std::vector<double>& b) {
  const auto k = static_cast<Eigen::Index>(b.size());
  const Matrix g = Eigen::Map<const Eigen::MatrixXd>(gram.data(), k, k);
  const Vector right = Eigen::Map<const Eigen::VectorXd>(b.data(), k);
  std::vector<Eigen::Index> passive;
  Vector x = Vector::Zero(k);
  for (int round = 0; round < 3 * kMost; ++round) {
    // The coefficient whose release from zero gains most.
    const Vector gain = right - g * x;
    Eigen::Index best = -1;
    for (Eigen::Index i = 0; i < k; ++i) {
      const bool free = std::find(passive.begin(), passive.end(), i) != passive.end();
      const bool gains = gain(i) > 1e-12 * (std::abs(right(i)) + 1e-300);
      if (!free && gains && (best < 0 || gain(i) > gain(best))) best = i;
    }
    if (best < 0) break;
    passive.push_back(best);
    for (;;) {
      const Vector trial = SolvePassive(g, right, passive);
      // Walk towards the trial until a coefficient meets zero; drop it and solve again.
      double step = 1;
      for (const Eigen::Index i : passive) {
        if (trial(i) <= 0) step = std::min(step, x(i) / (x(i) - trial(i) + 1e-300));
      }
      x += step * (trial - x);
      if (step >= 1) break;
      std::erase_if(passive, [&](Eigen::Index i) {
        return x(i) <= 1e-14 * x.cwiseAbs().maxCoeff() || trial(i) <= 0;
      });
      for (Eigen::Index i = 0; i < k; ++i) {
        if (std::find(passive.begin(), passive.end(), i) == passive.end()) x(i) = 0;
      }
      if (passive.empty()) break;
    }
  }
  return {x.data(), x.data() + k};
}

}  // namespace sweep
