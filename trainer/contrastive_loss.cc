#include "trainer/contrastive_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_log_softmax.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

namespace sweep {
namespace {

constexpr int64_t kTile = 2048;

LossAndGradients DenseLoss(const FeaturePair& features,
                           const at::Tensor& logit_scale,
                           const at::Tensor& logit_scale_gradient) {
  const auto& [images_BE, texts_BE] = features;
  const auto batch = static_cast<double>(images_BE.size(0));
  const at::Tensor factor = logit_scale.exp();
  const at::Tensor logits_BB = at::mm(images_BE, texts_BE.t()).mul_(factor);
  const at::Tensor by_row_BB = at::_log_softmax(logits_BB, 1, false);
  const at::Tensor by_column_BB = at::_log_softmax(logits_BB, 0, false);

  LossAndGradients result;
  result.loss = (by_row_BB.diagonal().sum() + by_column_BB.diagonal().sum()) * (-0.5 / batch);
  // d loss / d logits = (softmax of rows + softmax of columns - 2 I) / 2B
  at::Tensor gradient_BB = by_row_BB.exp().add_(by_column_BB.exp());
  gradient_BB.diagonal().sub_(2);
  gradient_BB.mul_(0.5 / batch);
  logit_scale_gradient.add_((gradient_BB * logits_BB).sum());
  gradient_BB.mul_(factor);
  result.gradient = {at::mm(gradient_BB, texts_BE), at::mm(gradient_BB.t(), images_BE)};
  return result;
}

// One tile of the logits: rows [row, row + rows), columns [column, column + columns).
struct Tile {
  int64_t row, rows, column, columns;
  [[nodiscard]] bool diagonal() const { return row == column; }
};

class TiledLoss {
 public:
  TiledLoss(const FeaturePair& features, const at::Tensor& logit_scale, int64_t tile)
      : features_(features),
        factor_(logit_scale.exp()),
        batch_(features.images_BE.size(0)),
        tile_(tile),
        row_lse_B_(Least()),
        column_lse_B_(Least()) {}

  LossAndGradients Run(const at::Tensor& logit_scale_gradient) {
    ForTiles([this](const Tile& t) { AddToLogSumExps(t); });
    LossAndGradients result;
    const at::Tensor matching_B = (features_.images_BE * features_.texts_BE).sum(1);
    result.loss = (row_lse_B_ + column_lse_B_ - matching_B * factor_ * 2).sum() *
                  (0.5 / static_cast<double>(batch_));
    result.gradient = {at::zeros_like(features_.images_BE), at::zeros_like(features_.texts_BE)};
    ForTiles([&](const Tile& t) { AddGradients(t, result.gradient, logit_scale_gradient); });
    return result;
  }

 private:
  [[nodiscard]] at::Tensor Least() const {
    return at::full(
        {batch_}, -std::numeric_limits<float>::infinity(), features_.images_BE.options());
  }

  template <class Body>
  void ForTiles(const Body& body) const {
    for (int64_t row = 0; row < batch_; row += tile_) {
      for (int64_t column = 0; column < batch_; column += tile_)
        body(Tile{row, std::min(tile_, batch_ - row), column, std::min(tile_, batch_ - column)});
    }
  }

  [[nodiscard]] at::Tensor Images(const Tile& t) const {
    return features_.images_BE.narrow(0, t.row, t.rows);
  }
  [[nodiscard]] at::Tensor Texts(const Tile& t) const {
    return features_.texts_BE.narrow(0, t.column, t.columns);
  }
  [[nodiscard]] at::Tensor Logits(const Tile& t) const {
    return at::mm(Images(t), Texts(t).t()).mul_(factor_);
  }

  void AddToLogSumExps(const Tile& t) {
    const at::Tensor logits = Logits(t);
    at::Tensor rows = row_lse_B_.narrow(0, t.row, t.rows);
    at::Tensor columns = column_lse_B_.narrow(0, t.column, t.columns);
    at::logaddexp_out(rows, rows, logits.logsumexp(1));
    at::logaddexp_out(columns, columns, logits.logsumexp(0));
  }

  void AddGradients(const Tile& t, const FeaturePair& gradient, const at::Tensor& scale_gradient) {
    const at::Tensor logits = Logits(t);
    at::Tensor g = (logits - row_lse_B_.narrow(0, t.row, t.rows).unsqueeze(1)).exp_();
    g.add_((logits - column_lse_B_.narrow(0, t.column, t.columns).unsqueeze(0)).exp_());
    if (t.diagonal()) g.diagonal().sub_(2);
    g.mul_(0.5 / static_cast<double>(batch_));
    scale_gradient.add_(logits.mul_(g).sum());
    g.mul_(factor_);
    gradient.images_BE.narrow(0, t.row, t.rows).addmm_(g, Texts(t));
    gradient.texts_BE.narrow(0, t.column, t.columns).addmm_(g.t(), Images(t));
  }

  const FeaturePair& features_;
  at::Tensor factor_;
  int64_t batch_;
  int64_t tile_;
  at::Tensor row_lse_B_;
  at::Tensor column_lse_B_;
};

}  // namespace

LossAndGradients TiledContrastiveLoss(const FeaturePair& features,
                                      const at::Tensor& logit_scale,
                                      const at::Tensor& logit_scale_gradient,
                                      int64_t tile) {
  return TiledLoss(features, logit_scale, tile).Run(logit_scale_gradient);
}

LossAndGradients ContrastiveLoss(const FeaturePair& features,
                                 const at::Tensor& logit_scale,
                                 const at::Tensor& logit_scale_gradient) {
  if (features.images_BE.size(0) > kDenseLossPairs)
    return TiledContrastiveLoss(features, logit_scale, logit_scale_gradient, kTile);
  return DenseLoss(features, logit_scale, logit_scale_gradient);
}

}  // namespace sweep
