#include "trainer/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

namespace sweep {
namespace {

struct Heads {
  at::Tensor query, key, value;  // [B, H, T, D], views of qkv
};

Heads Split(const at::Tensor& qkv, int64_t batch, int64_t heads) {
  const int64_t tokens = qkv.size(0) / batch;
  const at::Tensor all = qkv.view({batch, tokens, 3, heads, -1}).permute({2, 0, 3, 1, 4});
  return {all.select(0, 0), all.select(0, 1), all.select(0, 2)};
}

at::Tensor Merge(const at::Tensor& x_BHTD) {
  const int64_t rows = x_BHTD.size(0) * x_BHTD.size(2);
  return x_BHTD.transpose(1, 2).reshape({rows, -1});
}

at::Tensor AsBatch(const at::Tensor& x_BHTD) {
  return x_BHTD.reshape({-1, x_BHTD.size(2), x_BHTD.size(3)});
}

at::Tensor CausalMask(const at::Tensor& like) {
  const int64_t tokens = like.size(-1);
  return at::full({tokens, tokens}, -std::numeric_limits<float>::infinity(), like.options())
      .triu_(1);
}

double Scale(const Heads& h) {
  return 1.0 / std::sqrt(static_cast<double>(h.query.size(-1)));
}

// On a CPU, explicit products: its flash attention's backward is slow at short sequences.
at::Tensor ForwardCpu(const Heads& h, bool causal, AttentionSaved& saved) {
  at::Tensor scores = at::bmm(AsBatch(h.query), AsBatch(h.key).transpose(1, 2)).mul_(Scale(h));
  if (causal) scores.add_(CausalMask(scores));
  saved.probability = at::_softmax(scores, -1, false);
  return Merge(at::bmm(saved.probability, AsBatch(h.value)).view(h.query.sizes()));
}

at::Tensor BackwardCpu(const Heads& h, const at::Tensor& probability, const at::Tensor& gradient) {
  const at::Tensor query = AsBatch(h.query);
  const at::Tensor key = AsBatch(h.key);
  const at::Tensor g = AsBatch(gradient);
  const at::Tensor gradient_value = at::bmm(probability.transpose(1, 2), g);
  const at::Tensor gradient_probability = at::bmm(g, AsBatch(h.value).transpose(1, 2));
  const at::Tensor gradient_scores =
      at::_softmax_backward_data(gradient_probability, probability, -1, probability.scalar_type())
          .mul_(Scale(h));
  const at::Tensor gradient_query = at::bmm(gradient_scores, key);
  const at::Tensor gradient_key = at::bmm(gradient_scores.transpose(1, 2), query);
  return at::stack({gradient_query, gradient_key, gradient_value});
}

at::Tensor ForwardCuda(const Heads& h, bool causal, AttentionSaved& saved) {
  const at::AutoGradMode graph(true);
  saved.query = h.query.detach().requires_grad_();
  saved.key = h.key.detach().requires_grad_();
  saved.value = h.value.detach().requires_grad_();
  saved.output = at::scaled_dot_product_attention(
      saved.query, saved.key, saved.value, std::nullopt, 0.0, causal);
  return Merge(saved.output.detach());
}

}  // namespace

at::Tensor Attention::Forward(const at::Tensor& qkv, int64_t batch, AttentionSaved& saved) const {
  const Heads h = Split(qkv, batch, heads_);
  return qkv.is_cuda() ? ForwardCuda(h, causal_, saved) : ForwardCpu(h, causal_, saved);
}

at::Tensor Attention::Backward(const at::Tensor& qkv,
                               int64_t batch,
                               const AttentionSaved& saved,
                               const at::Tensor& gradient_RW) const {
  const Heads h = Split(qkv, batch, heads_);
  const int64_t tokens = h.query.size(2);
  const at::Tensor gradient_BHTD = gradient_RW.view({batch, tokens, heads_, -1}).transpose(1, 2);
  at::Tensor gradient_3BHTD;
  if (qkv.is_cuda()) {
    gradient_3BHTD = at::stack(torch::autograd::grad(
        {saved.output}, {saved.query, saved.key, saved.value}, {gradient_BHTD}));
  } else {
    gradient_3BHTD = BackwardCpu(h, saved.probability, gradient_BHTD);
  }
  return gradient_3BHTD.view({3, batch, heads_, tokens, -1})
      .permute({1, 3, 0, 2, 4})
      .reshape(qkv.sizes());
}

}  // namespace sweep
