#include "trainer/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

namespace sweep {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// [B, H, tokens, D] view of rows [B*tokens, W].
at::Tensor Heads(const at::Tensor& rows, int64_t batch, int64_t heads) {
  const int64_t tokens = rows.size(0) / batch;
  return rows.unflatten(0, {batch, tokens}).unflatten(2, {heads, -1}).transpose(1, 2);
}

// [B*H, tokens, D], copied where a view cannot be had.
at::Tensor Stacked(const at::Tensor& rows, int64_t batch, int64_t heads) {
  return Heads(rows, batch, heads).flatten(0, 1);
}

at::Tensor Merge(const at::Tensor& x_BHTD) {
  return x_BHTD.transpose(1, 2).flatten(2, 3).flatten(0, 1);
}

at::Tensor CausalMask(const at::Tensor& like) {
  const int64_t tokens = like.size(-1);
  return at::full({tokens, tokens}, kNever, like.options()).triu_(1);
}

}  // namespace

at::Tensor Attention::Forward(const AttentionRows& rows,
                              int64_t batch,
                              const at::Tensor& hidden_BT,
                              AttentionSaved& saved) const {
  const bool one = rows.query.size(0) == batch && rows.key.size(0) != batch;
  if (rows.query.is_cuda() && !one) {
    const at::AutoGradMode graph(true);
    saved.query = Heads(rows.query, batch, heads_).detach().requires_grad_();
    saved.key = Heads(rows.key, batch, heads_).detach().requires_grad_();
    saved.value = Heads(rows.value, batch, heads_).detach().requires_grad_();
    saved.output = at::scaled_dot_product_attention(
        saved.query, saved.key, saved.value, std::nullopt, 0.0, causal_);
    return Merge(saved.output.detach());
  }
  // On a CPU, explicit products: its flash attention's backward is slow at short sequences.
  const at::Tensor query = Stacked(rows.query, batch, heads_);
  at::Tensor scores = at::bmm(query, Stacked(rows.key, batch, heads_).transpose(1, 2));
  scores.mul_(1.0 / std::sqrt(static_cast<double>(query.size(2))));
  if (one && hidden_BT.defined()) {
    scores.unflatten(0, {batch, heads_}).masked_fill_(hidden_BT.view({batch, 1, 1, -1}), kNever);
  } else if (causal_) {
    scores.add_(CausalMask(scores));
  }
  saved.probability = at::_softmax(scores, -1, false);
  return Merge(
      at::bmm(saved.probability, Stacked(rows.value, batch, heads_)).unflatten(0, {batch, heads_}));
}

void Attention::Backward(const AttentionRows& rows,
                         int64_t batch,
                         const AttentionSaved& saved,
                         const at::Tensor& gradient,
                         const AttentionRows& gradients) const {
  const auto write = [&](const at::Tensor& to, const at::Tensor& from_BHTD) {
    Heads(to, batch, heads_).copy_(from_BHTD);
  };
  if (saved.output.defined()) {
    const auto parts = torch::autograd::grad(
        {saved.output}, {saved.query, saved.key, saved.value}, {Heads(gradient, batch, heads_)});
    write(gradients.query, parts[0]);
    write(gradients.key, parts[1]);
    write(gradients.value, parts[2]);
    return;
  }
  const at::Tensor& probability = saved.probability;
  const at::Tensor query = Stacked(rows.query, batch, heads_);
  const at::Tensor g = Stacked(gradient, batch, heads_);
  const at::Tensor g_probability = at::bmm(g, Stacked(rows.value, batch, heads_).transpose(1, 2));
  const at::Tensor g_scores =
      at::_softmax_backward_data(g_probability, probability, -1, probability.scalar_type())
          .mul_(1.0 / std::sqrt(static_cast<double>(query.size(2))));
  const auto split = [&](const at::Tensor& x) { return x.unflatten(0, {batch, heads_}); };
  write(gradients.query, split(at::bmm(g_scores, Stacked(rows.key, batch, heads_))));
  write(gradients.key, split(at::bmm(g_scores.transpose(1, 2), query)));
  write(gradients.value, split(at::bmm(probability.transpose(1, 2), g)));
}

}  // namespace sweep
