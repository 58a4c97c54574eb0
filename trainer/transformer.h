#pragma once

#include <string>
#include <vector>

#include "trainer/attention.h"
#include "trainer/layers.h"

namespace sweep {

struct TransformerShape {
  std::string prefix;  ///< of the parameters: "visual.transformer." or "transformer."
  int64_t layers = 0;
  int64_t heads = 0;
  bool causal = false;
  bool quick_gelu = false;
};

/// What one block's backward pass needs. R rows = batch x tokens, W width, M hidden width.
struct BlockSaved {
  at::Tensor x_RW;  ///< the block's input
  LayerNorm::Saved norm_1, norm_2;
  at::Tensor normed_1_RW, qkv_R3W, attended_RW, middle_RW, normed_2_RW, hidden_RM, activated_RM;
  AttentionSaved attention;
};

/// Pre-norm residual attention block: x += attn(ln_1 x); x += c_proj(gelu(c_fc(ln_2 x))).
class Block {
 public:
  Block(const ParameterStore& parameters, const std::string& prefix, const TransformerShape& shape);

  [[nodiscard]] at::Tensor Forward(const at::Tensor& x_RW, int64_t batch, BlockSaved& saved) const;
  /// Adds the parameters' gradients and returns that of the input. Frees what `saved` holds.
  [[nodiscard]] at::Tensor Backward(const at::Tensor& gradient_RW,
                                    int64_t batch,
                                    BlockSaved& saved) const;

 private:
  LayerNorm ln_1_, ln_2_;
  Linear in_proj_, out_proj_, c_fc_, c_proj_;
  Attention attention_;
  Gelu gelu_;
};

/// A stack of blocks.
class Transformer {
 public:
  Transformer(const ParameterStore& parameters, const TransformerShape& shape);

  using Saved = std::vector<BlockSaved>;
  /// `saved` may be null: then nothing is kept for a backward pass.
  [[nodiscard]] at::Tensor Forward(at::Tensor x_RW, int64_t batch, Saved* saved) const;
  [[nodiscard]] at::Tensor Backward(at::Tensor gradient_RW, int64_t batch, Saved& saved) const;

 private:
  std::vector<Block> blocks_;
};

}  // namespace sweep
