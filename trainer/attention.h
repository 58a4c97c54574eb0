#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

/// What the backward pass of attention needs besides qkv.
struct AttentionSaved {
  at::Tensor probability;                ///< CPU: [B*H, T, T]
  at::Tensor query, key, value, output;  ///< CUDA: the graph of one SDPA call
};

/// Multi-head self-attention, softmax(q k' / sqrt(D)) v with D features a head.
/// B batch, T tokens, H heads, W = H * D width.
class Attention {
 public:
  Attention(int64_t heads, bool causal) : heads_(heads), causal_(causal) {}

  /// `qkv` is [B*T, 3*W] with query, key and value side by side; returns [B*T, W].
  [[nodiscard]] at::Tensor Forward(const at::Tensor& qkv,
                                   int64_t batch,
                                   AttentionSaved& saved) const;
  /// Gradient of `qkv`.
  [[nodiscard]] at::Tensor Backward(const at::Tensor& qkv,
                                    int64_t batch,
                                    const AttentionSaved& saved,
                                    const at::Tensor& gradient_RW) const;

 private:
  int64_t heads_;
  bool causal_;
};

}  // namespace sweep
