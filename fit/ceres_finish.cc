#include "fit/ceres_finish.h"

#include <ceres/ceres.h>

#include <cmath>

namespace sweep {
namespace {

// Ceres announces each new point here before it asks the blocks, so all points are evaluated in one
// batch.
class Batch : public ceres::EvaluationCallback {
 public:
  Batch(const Objective& objective, const double* inner) : objective_(objective), inner_(inner) {}

  void PrepareForEvaluation(bool jacobians, bool new_point) override {
    if (!new_point && !(jacobians && !has_jacobian_)) return;
    objective_.law().Evaluate(
        {inner_, objective_.parameters()}, objective_.space(), jacobians, evaluation_);
    has_jacobian_ = jacobians;
  }
  [[nodiscard]] double Residual(std::size_t i) const {
    return evaluation_.value[i] - objective_.target()[i];
  }
  [[nodiscard]] double Derivative(std::size_t i, std::size_t k) const {
    return evaluation_.jacobian[k * objective_.points() + i];
  }
  [[nodiscard]] const Objective& objective() const { return objective_; }

 private:
  const Objective& objective_;
  const double* inner_;
  Evaluation evaluation_;
  bool has_jacobian_ = false;
};

// Points first … first+count-1 of the batch as one residual block.
class Block : public ceres::CostFunction {
 public:
  Block(const Batch& batch, std::size_t first, std::size_t count, bool weighted)
      : batch_(batch), first_(first), count_(count), weighted_(weighted) {
    set_num_residuals(static_cast<int>(count));
    mutable_parameter_block_sizes()->push_back(static_cast<int>(batch.objective().parameters()));
  }

  bool Evaluate(double const* const*, double* residuals, double** jacobians) const override {
    const std::size_t p = batch_.objective().parameters();
    for (std::size_t i = 0; i < count_; ++i) {
      const double root = weighted_ ? std::sqrt(batch_.objective().weight(first_ + i)) : 1;
      residuals[i] = root * batch_.Residual(first_ + i);
      if (!std::isfinite(residuals[i])) return false;
      if (!jacobians || !jacobians[0]) continue;
      for (std::size_t k = 0; k < p; ++k) {
        jacobians[0][i * p + k] = root * batch_.Derivative(first_ + i, k);
      }
    }
    return true;
  }

 private:
  const Batch& batch_;
  std::size_t first_;
  std::size_t count_;
  bool weighted_;
};

ceres::LossFunction* MakeLoss(const Loss& loss) {
  switch (loss.kind) {
    case LossKind::kHuber:
      return new ceres::HuberLoss(loss.scale);
    case LossKind::kCauchy:
      return new ceres::CauchyLoss(loss.scale);
    case LossKind::kTukey:
      return new ceres::TukeyLoss(loss.scale);
    default:
      return nullptr;
  }
}

void AddBlocks(ceres::Problem& problem, const Batch& batch, double* inner) {
  const Objective& objective = batch.objective();
  if (objective.loss().kind == LossKind::kSquared) {
    problem.AddResidualBlock(new Block(batch, 0, objective.points(), true), nullptr, inner);
    return;
  }
  for (std::size_t i = 0; i < objective.points(); ++i) {
    ceres::LossFunction* loss = MakeLoss(objective.loss());
    if (objective.weight(i) != 1) {
      loss = new ceres::ScaledLoss(loss, objective.weight(i), ceres::TAKE_OWNERSHIP);
    }
    problem.AddResidualBlock(new Block(batch, i, 1, false), loss, inner);
  }
}

void Restrict(ceres::Problem& problem, const Box& box, double* inner) {
  std::vector<int> held;
  for (std::size_t k = 0; k < box.held.size(); ++k) {
    const int index = static_cast<int>(k);
    if (box.held[k]) {
      held.push_back(index);
      continue;
    }
    if (std::isfinite(box.lower[k])) problem.SetParameterLowerBound(inner, index, box.lower[k]);
    if (std::isfinite(box.upper[k])) problem.SetParameterUpperBound(inner, index, box.upper[k]);
  }
  if (held.empty()) return;
  problem.SetManifold(inner, new ceres::SubsetManifold(static_cast<int>(box.held.size()), held));
}

}  // namespace

Minimum FinishWithCeres(Objective& objective, const std::vector<double>& start, const Box& box) {
  Minimum minimum{
      .inner = start, .objective = objective.Value(start), .steps = 0, .stop = Stop::kConverged};
  const bool all_held = std::find(box.held.begin(), box.held.end(), false) == box.held.end();
  if (objective.loss().kind == LossKind::kLad || all_held) return minimum;

  // A vanished parameter is minus infinity to us; Ceres wants finite numbers, and exp(-800)
  // vanishes as well.
  std::vector<double> inner = start;
  for (double& value : inner) value = std::max(value, -800.0);
  Batch batch(objective, inner.data());
  ceres::Problem::Options owned;
  owned.evaluation_callback = &batch;
  ceres::Problem problem(owned);
  AddBlocks(problem, batch, inner.data());
  Restrict(problem, box, inner.data());
  ceres::Solver::Options options;
  options.linear_solver_type = ceres::DENSE_QR;
  options.max_num_iterations = 200;
  options.function_tolerance = 1e-15;
  options.gradient_tolerance = 1e-15;
  options.parameter_tolerance = 1e-15;
  options.logging_type = ceres::SILENT;
  ceres::Solver::Summary summary;
  ceres::Solve(options, &problem, &summary);
  for (std::size_t k = 0; k < inner.size(); ++k) {
    if (box.held[k]) inner[k] = start[k];
  }
  const double value = objective.Value(inner);
  minimum.steps = static_cast<int>(summary.iterations.size());
  if (summary.termination_type == ceres::NO_CONVERGENCE) minimum.stop = Stop::kSteps;
  if (!(value <= minimum.objective)) return minimum;
  minimum.inner = std::move(inner);
  minimum.objective = value;
  return minimum;
}

}  // namespace sweep
