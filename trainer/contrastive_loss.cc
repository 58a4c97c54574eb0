#include "trainer/contrastive_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

namespace sweep {
namespace {

// One tile of the logits: rows [row, row + rows) of this process's, columns [column, column +
// columns) of all.
struct Tile {
  int64_t row, rows, column, columns;
  int64_t diagonal;  // of the tile, where the matching pairs lie; may be outside
  [[nodiscard]] bool has_matches() const { return diagonal > -rows && diagonal < columns; }
};

class PairwiseLoss {
 public:
  PairwiseLoss(const FeaturePair& mine, const LossScalars& scalars, const LossOptions& options)
      : mine_(mine),
        scalars_(scalars),
        peers_(options.peers),
        tile_(options.tile),
        texts_BE_(peers_ != nullptr ? peers_->AllGather(mine.texts_BE) : mine.texts_BE),
        factor_(scalars.logit_scale.exp()),
        rows_(mine.images_BE.size(0)),
        columns_(texts_BE_.size(0)),
        first_(peers_ != nullptr ? peers_->rank() * rows_ : 0),
        one_tile_(rows_ <= tile_ && columns_ <= tile_) {}
  virtual ~PairwiseLoss() = default;
  PairwiseLoss(const PairwiseLoss&) = delete;
  PairwiseLoss& operator=(const PairwiseLoss&) = delete;

  LossAndGradients Run() {
    LossAndGradients result;
    result.loss = Loss() / static_cast<double>(columns_);
    if (peers_ != nullptr) peers_->AllReduce(result.loss);
    const at::Tensor images_gradient = at::zeros_like(mine_.images_BE);
    const at::Tensor texts_gradient = at::zeros_like(texts_BE_);
    ForTiles([&](const Tile& t) { AddGradients(t, images_gradient, texts_gradient); });
    if (peers_ != nullptr) peers_->AllReduce(texts_gradient);
    result.gradient = {images_gradient, texts_gradient.narrow(0, first_, rows_)};
    return result;
  }

 protected:
  // Sum over this process's rows.
  virtual at::Tensor Loss() = 0;
  // From a tile's logits to B times the loss's derivative by them.
  virtual at::Tensor Derivative(const Tile& tile, const at::Tensor& logits) const = 0;

  template <class Body>
  void ForTiles(const Body& body) const {
    for (int64_t row = 0; row < rows_; row += tile_) {
      for (int64_t column = 0; column < columns_; column += tile_) {
        body(Tile{row,
                  std::min(tile_, rows_ - row),
                  column,
                  std::min(tile_, columns_ - column),
                  first_ + row - column});
      }
    }
  }

  at::Tensor Logits(const Tile& t) {
    if (only_tile_.defined()) return only_tile_;
    at::Tensor logits = at::mm(Images(t), Texts(t).t()).mul_(factor_);
    if (scalars_.logit_bias.defined()) logits.add_(scalars_.logit_bias);
    if (one_tile_) only_tile_ = logits;
    return logits;
  }

  // Logits of this process's matching pairs.
  [[nodiscard]] at::Tensor MatchingLogits() const {
    const at::Tensor own_texts = texts_BE_.narrow(0, first_, rows_);
    return (mine_.images_BE * own_texts).sum(1) * factor_;
  }

  const FeaturePair& mine_;
  const LossScalars& scalars_;
  Peers* peers_;
  int64_t tile_;
  at::Tensor texts_BE_;  // of all processes
  at::Tensor factor_;
  int64_t rows_, columns_, first_;

 private:
  [[nodiscard]] at::Tensor Images(const Tile& t) const {
    return mine_.images_BE.narrow(0, t.row, t.rows);
  }
  [[nodiscard]] at::Tensor Texts(const Tile& t) const {
    return texts_BE_.narrow(0, t.column, t.columns);
  }

  void AddGradients(const Tile& t, const at::Tensor& images, const at::Tensor& texts) {
    const at::Tensor logits = Logits(t);
    at::Tensor g = Derivative(t, logits).div_(static_cast<double>(columns_));
    if (scalars_.logit_bias.defined()) {
      scalars_.logit_bias_gradient.add_(g.sum());
      scalars_.logit_scale_gradient.add_((g * (logits - scalars_.logit_bias)).sum());
    } else {
      scalars_.logit_scale_gradient.add_((g * logits).sum());
    }
    g.mul_(factor_);
    images.narrow(0, t.row, t.rows).addmm_(g, Texts(t));
    texts.narrow(0, t.column, t.columns).addmm_(g.t(), Images(t));
  }

  bool one_tile_;
  at::Tensor only_tile_;
};

class SoftmaxLoss : public PairwiseLoss {
 public:
  SoftmaxLoss(const FeaturePair& mine, const LossScalars& scalars, const LossOptions& options)
      : PairwiseLoss(mine, scalars, options),
        row_lse_(Least(rows_)),
        column_lse_(Least(columns_)) {}

 private:
  [[nodiscard]] at::Tensor Least(int64_t size) const {
    return at::full({size}, -std::numeric_limits<float>::infinity(), texts_BE_.options());
  }

  at::Tensor Loss() override {
    ForTiles([this](const Tile& t) { AddToLogSumExps(t); });
    if (peers_ != nullptr) column_lse_ = peers_->AllGather(column_lse_.unsqueeze(0)).logsumexp(0);
    const at::Tensor own_columns = column_lse_.narrow(0, first_, rows_);
    return (row_lse_ + own_columns - MatchingLogits() * 2).sum() * 0.5;
  }

  void AddToLogSumExps(const Tile& t) {
    const at::Tensor logits = Logits(t);
    at::Tensor rows = row_lse_.narrow(0, t.row, t.rows);
    at::Tensor columns = column_lse_.narrow(0, t.column, t.columns);
    at::logaddexp_out(rows, rows, logits.logsumexp(1));
    at::logaddexp_out(columns, columns, logits.logsumexp(0));
  }

  // (softmax of rows + softmax of columns) / 2 - 1 where pairs match
  at::Tensor Derivative(const Tile& t, const at::Tensor& logits) const override {
    at::Tensor g = (logits - row_lse_.narrow(0, t.row, t.rows).unsqueeze(1)).exp_();
    g.add_((logits - column_lse_.narrow(0, t.column, t.columns).unsqueeze(0)).exp_());
    if (t.has_matches()) g.diagonal(t.diagonal).sub_(2);
    return g.mul_(0.5);
  }

  at::Tensor row_lse_;     // of this process's rows
  at::Tensor column_lse_;  // of all columns: over this process's rows first, then over all
};

class SigmoidLoss : public PairwiseLoss {
 public:
  using PairwiseLoss::PairwiseLoss;

 private:
  // -log sigmoid(-l) = softplus(l), and softplus(-l) = softplus(l) - l
  at::Tensor Loss() override {
    at::Tensor sum = at::zeros({}, texts_BE_.options());
    ForTiles([&](const Tile& t) { sum.add_(at::softplus(Logits(t)).sum()); });
    return sum - (MatchingLogits() + scalars_.logit_bias).sum();
  }

  // sigmoid(l), - 1 where pairs match
  at::Tensor Derivative(const Tile& t, const at::Tensor& logits) const override {
    at::Tensor g = logits.sigmoid();
    if (t.has_matches()) g.diagonal(t.diagonal).sub_(1);
    return g;
  }
};

}  // namespace

LossAndGradients ContrastiveLoss(const FeaturePair& features,
                                 const LossScalars& scalars,
                                 const LossOptions& options) {
  if (scalars.logit_bias.defined()) return SigmoidLoss(features, scalars, options).Run();
  return SoftmaxLoss(features, scalars, options).Run();
}

}  // namespace sweep
