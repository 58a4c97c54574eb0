#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/sequences.h"

namespace sweep {

/// Rows of queries, keys and values (or of their gradients) for a batch: views, such as thirds of a
/// packed projection, W = heads x D wide. Keys and values are [R, W], queries [R, W] or one a
/// sample, [B, W].
struct AttentionRows {
  at::Tensor query, key, value;
};

/// What the backward pass needs besides the rows.
struct AttentionSaved {
  at::Tensor probability;                ///< CPU kernel: [B*H, Q, padded T] fp32; explicit
                                         ///< products: [B*H, Q, T]; Q and T of the longest sample
  at::Tensor query, key, value, output;  ///< CUDA: the graph of one SDPA call
};

/// Multi-head attention within each sample, softmax(q k' / sqrt(D)) v. Either every token asks,
/// causally or not, or one token a sample does and sees all of its keys.
class Attention {
 public:
  Attention(int64_t heads, bool causal) : heads_(heads), causal_(causal) {}

  /// Returns rows like the queries.
  [[nodiscard]] at::Tensor Forward(const AttentionRows& rows,
                                   const Sequences& sequences,
                                   AttentionSaved& saved) const;
  /// Writes the gradients of the rows into `gradients`.
  void Backward(const AttentionRows& rows,
                const Sequences& sequences,
                const AttentionSaved& saved,
                const at::Tensor& gradient,
                const AttentionRows& gradients) const;

 private:
  [[nodiscard]] at::Tensor ForwardKernel(const AttentionRows& rows,
                                         const Sequences& sequences,
                                         AttentionSaved& saved) const;
  void BackwardKernel(const AttentionRows& rows,
                      const Sequences& sequences,
                      const AttentionSaved& saved,
                      const at::Tensor& gradient,
                      const AttentionRows& gradients) const;

  int64_t heads_;
  bool causal_;
};

}  // namespace sweep
