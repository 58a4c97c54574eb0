#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

/// Rows of queries, keys and values (or of their gradients) for a batch: views, such as thirds of a
/// packed projection. Q queries and T keys a sample, W = heads x D width: query is [B*Q, W], key
/// and value are [B*T, W].
struct AttentionRows {
  at::Tensor query, key, value;
};

/// What the backward pass needs besides the rows.
struct AttentionSaved {
  at::Tensor probability;                ///< CPU kernel: [B*H, Q, padded T] fp32; explicit
                                         ///< products: [B*H, Q, T]
  at::Tensor query, key, value, output;  ///< CUDA: the graph of one SDPA call
};

/// Multi-head attention, softmax(q k' / sqrt(D)) v. Either every token asks (Q = T), causally or
/// not, or one token a sample does (Q = 1) and sees the first `visible_B` keys of its sample.
class Attention {
 public:
  Attention(int64_t heads, bool causal) : heads_(heads), causal_(causal) {}

  /// `visible_B` (int64) may be undefined: all keys; only looked at when Q = 1. Returns [B*Q, W].
  [[nodiscard]] at::Tensor Forward(const AttentionRows& rows,
                                   int64_t batch,
                                   const at::Tensor& visible_B,
                                   AttentionSaved& saved) const;
  /// Writes the gradients of the rows into `gradients`.
  void Backward(const AttentionRows& rows,
                int64_t batch,
                const at::Tensor& visible_B,
                const AttentionSaved& saved,
                const at::Tensor& gradient,
                const AttentionRows& gradients) const;

 private:
  [[nodiscard]] at::Tensor ForwardKernel(const AttentionRows& rows,
                                         int64_t batch,
                                         const at::Tensor& visible_B,
                                         AttentionSaved& saved) const;
  void BackwardKernel(const AttentionRows& rows,
                      int64_t batch,
                      const at::Tensor& visible_B,
                      const AttentionSaved& saved,
                      const at::Tensor& gradient,
                      const AttentionRows& gradients) const;

  int64_t heads_;
  bool causal_;
};

}  // namespace sweep
