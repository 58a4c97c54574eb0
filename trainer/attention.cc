#include "trainer/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "trainer/fused_ops.h"

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

bool OneQuery(const AttentionRows& rows, const Sequences& sequences) {
  return rows.query.size(0) == sequences.batch && rows.key.size(0) != sequences.batch;
}

// Rows of samples of different lengths as a grid [B * longest, W], zeros where a sample has ended.
at::Tensor Spread(const at::Tensor& rows, const Sequences& sequences) {
  if (!sequences.cells_R.defined()) return rows;
  at::Tensor grid = at::zeros({sequences.batch * sequences.longest, rows.size(1)}, rows.options());
  return grid.index_copy_(0, sequences.cells_R, rows);
}

at::Tensor Gathered(const at::Tensor& grid, const Sequences& sequences) {
  return sequences.cells_R.defined() ? grid.index_select(0, sequences.cells_R) : grid;
}

AttentionRows SpreadAll(const AttentionRows& rows, const Sequences& sequences) {
  return {OneQuery(rows, sequences) ? rows.query : Spread(rows.query, sequences),
          Spread(rows.key, sequences),
          Spread(rows.value, sequences)};
}

// Short sequences on a CPU: the products are too small for a library to do them well. Padding may
// ask, where it sees what is before it, but may not be seen.
bool KernelFits(const AttentionRows& rows,
                const Sequences& sequences,
                int64_t heads,
                bool causal) {
  if (sequences.padded() && !causal && !OneQuery(rows, sequences)) return false;
  const int64_t head_width = rows.query.size(1) / heads;
  const auto type = rows.query.scalar_type();
  return rows.query.is_cpu() && (type == at::kFloat || type == at::kBFloat16) &&
         head_width % kLanes == 0 && head_width <= kMostHeadWidth &&
         sequences.longest <= kMostAttentionKeys;
}

template <class T>
AttentionTask<T> TaskOf(const AttentionRows& rows,
                        const Sequences& sequences,
                        int64_t heads,
                        bool causal) {
  const bool one = OneQuery(rows, sequences);
  AttentionTask<T> task;
  task.heads = heads;
  task.queries = one ? 1 : sequences.longest;
  task.keys = sequences.longest;
  task.head_width = rows.query.size(1) / heads;
  task.query = Elements<T>(rows.query);
  task.query_stride = rows.query.stride(0);
  task.key = Elements<T>(rows.key);
  task.value = Elements<T>(rows.value);
  task.key_stride = rows.key.stride(0);
  task.causal = causal && !one;
  task.starts = sequences.starts_B.const_data_ptr<int64_t>();
  // Tokens of padding ask too, where they are among the rows.
  if (sequences.lengths_B.defined() && (one || !sequences.padded()))
    task.lengths = sequences.lengths_B.const_data_ptr<int64_t>();
  return task;
}

}  // namespace

at::Tensor Attention::ForwardKernel(const AttentionRows& rows,
                                    const Sequences& sequences,
                                    AttentionSaved& saved) const {
  const at::Tensor& query = rows.query;
  at::Tensor output = at::empty(query.sizes(), query.options());
  const int64_t queries = OneQuery(rows, sequences) ? 1 : sequences.longest;
  saved.probability =
      at::empty({sequences.batch * heads_, queries, PaddedKeys(sequences.longest)}, at::kFloat);
  WithElement(query, [&]<class T>(T) {
    auto task = TaskOf<T>(rows, sequences, heads_, causal_);
    task.probability = Elements<float>(saved.probability);
    task.output = Elements<T>(output);
    ForRows(sequences.batch * heads_, [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().attention(task, begin, end);
    });
  });
  return output;
}

void Attention::BackwardKernel(const AttentionRows& rows,
                               const Sequences& sequences,
                               const AttentionSaved& saved,
                               const at::Tensor& gradient,
                               const AttentionRows& gradients) const {
  const at::Tensor g = gradient.contiguous();
  if (sequences.padded() && OneQuery(rows, sequences)) {  // keys that nobody saw
    for (at::Tensor unseen : {gradients.key, gradients.value}) unseen.zero_();
  }
  WithElement(g, [&]<class T>(T) {
    AttentionGradientTask<T> task;
    task.forward = TaskOf<T>(rows, sequences, heads_, causal_);
    task.forward.probability = Elements<float>(saved.probability);
    task.gradient = Elements<T>(g);
    task.query_gradient = Elements<T>(gradients.query);
    task.query_gradient_stride = gradients.query.stride(0);
    task.key_gradient = Elements<T>(gradients.key);
    task.value_gradient = Elements<T>(gradients.value);
    task.key_gradient_stride = gradients.key.stride(0);
    ForRows(sequences.batch * heads_, [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().attention_backward(task, begin, end);
    });
  });
}

at::Tensor Attention::Forward(const AttentionRows& rows,
                              const Sequences& sequences,
                              AttentionSaved& saved) const {
  if (KernelFits(rows, sequences, heads_, causal_)) return ForwardKernel(rows, sequences, saved);
  const int64_t batch = sequences.batch;
  const bool one = OneQuery(rows, sequences);
  const AttentionRows grid = SpreadAll(rows, sequences);
  // Causal queries see nothing after them, so no token of a sample sees its padding.
  const bool sees_padding = sequences.lengths_B.defined() && (one || !causal_);
  if (rows.query.is_cuda() && !one && !sees_padding) {
    const at::AutoGradMode graph(true);
    saved.query = Heads(grid.query, batch, heads_).detach().requires_grad_();
    saved.key = Heads(grid.key, batch, heads_).detach().requires_grad_();
    saved.value = Heads(grid.value, batch, heads_).detach().requires_grad_();
    saved.output = at::scaled_dot_product_attention(
        saved.query, saved.key, saved.value, std::nullopt, 0.0, causal_);
    return Gathered(Merge(saved.output.detach()), sequences);
  }
  // On a CPU, explicit products: its flash attention's backward is slow at short sequences.
  const at::Tensor query = Stacked(grid.query, batch, heads_);
  at::Tensor scores = at::bmm(query, Stacked(grid.key, batch, heads_).transpose(1, 2));
  scores.mul_(1.0 / std::sqrt(static_cast<double>(query.size(2))));
  if (sees_padding) {
    const at::Tensor after_end_BT = at::arange(scores.size(2), sequences.lengths_B.options()) >=
                                    sequences.lengths_B.unsqueeze(1);
    scores.unflatten(0, {batch, heads_}).masked_fill_(after_end_BT.view({batch, 1, 1, -1}), kNever);
  } else if (causal_ && !one) {
    scores.add_(CausalMask(scores));
  }
  saved.probability = at::_softmax(scores, -1, false);
  const at::Tensor output = Merge(
      at::bmm(saved.probability, Stacked(grid.value, batch, heads_)).unflatten(0, {batch, heads_}));
  return one ? output : Gathered(output, sequences);
}

void Attention::Backward(const AttentionRows& rows,
                         const Sequences& sequences,
                         const AttentionSaved& saved,
                         const at::Tensor& gradient,
                         const AttentionRows& gradients) const {
  if (KernelFits(rows, sequences, heads_, causal_)) {
    BackwardKernel(rows, sequences, saved, gradient, gradients);
    return;
  }
  const int64_t batch = sequences.batch;
  const bool one = OneQuery(rows, sequences);
  const at::Tensor gradient_grid = one ? gradient : Spread(gradient, sequences);
  const auto write = [&](const at::Tensor& to, const at::Tensor& from_BHTD) {
    const bool all = !sequences.cells_R.defined() || from_BHTD.size(2) != sequences.longest;
    if (all) {
      Heads(to, batch, heads_).copy_(from_BHTD);
    } else {
      to.copy_(Gathered(Merge(from_BHTD), sequences));
    }
  };
  if (saved.output.defined()) {
    const auto parts = torch::autograd::grad({saved.output},
                                             {saved.query, saved.key, saved.value},
                                             {Heads(gradient_grid, batch, heads_)});
    write(gradients.query, parts[0]);
    write(gradients.key, parts[1]);
    write(gradients.value, parts[2]);
    return;
  }
  const AttentionRows grid = SpreadAll(rows, sequences);
  const at::Tensor& probability = saved.probability;
  const at::Tensor query = Stacked(grid.query, batch, heads_);
  const at::Tensor g = Stacked(gradient_grid, batch, heads_);
  const at::Tensor g_probability = at::bmm(g, Stacked(grid.value, batch, heads_).transpose(1, 2));
  const at::Tensor g_scores =
      at::_softmax_backward_data(g_probability, probability, -1, probability.scalar_type())
          .mul_(1.0 / std::sqrt(static_cast<double>(query.size(2))));
  const auto split = [&](const at::Tensor& x) { return x.unflatten(0, {batch, heads_}); };
  write(gradients.query, split(at::bmm(g_scores, Stacked(grid.key, batch, heads_))));
  write(gradients.key, split(at::bmm(g_scores.transpose(1, 2), query)));
  write(gradients.value, split(at::bmm(probability.transpose(1, 2), g)));
}

}  // namespace sweep
