#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/attention.h"
#include "trainer/layers.h"

namespace sweep {

/// What the backward pass computes again instead of keeping it.
enum class Recompute {
  kNothing,
  kCheap,   ///< norms' and GELU's outputs: three eighths of a block's memory for 1 % of its work
  kBlocks,  ///< all but each block's input: one more forward pass
};

struct TransformerShape {
  std::string prefix;  ///< of the parameters: "visual.transformer." or "transformer."
  Tower tower = Tower::kNone;
  int64_t layers = 0;
  int64_t heads = 0;
  bool causal = false;
  bool quick_gelu = false;
  bool layer_scale = false;
  Recompute recompute = Recompute::kNothing;
};

/// What one block's backward pass needs. R rows of tokens, W width, M hidden width, S rows
/// that go on: R, or B in the last block.
struct BlockSaved {
  at::Tensor x_RW;  ///< the block's input
  LayerNorm::Saved norm_1, norm_2;
  at::Tensor normed_1_RW, normed_1_SW;    ///< the second only where S is not R
  at::Tensor query_SW, key_RW, value_RW;  ///< thirds of the projection
  at::Tensor attended_SW, middle_SW, normed_2_SW, hidden_SM, activated_SM;
  at::Tensor added_1_SW, added_2_SW;  ///< what layer scales multiply; undefined without them
  AttentionSaved attention;
};

/// Pre-norm residual attention block: x += ls_1 attn(ln_1 x); x += ls_2 c_proj(gelu(c_fc(ln_2 x))).
/// The layer scales ls_1 and ls_2 are optional.
class Block {
 public:
  Block(const ParameterStore& parameters, const std::string& prefix, const TransformerShape& shape);

  /// With `read_B`, the row of one token a sample, only those go through what follows the keys and
  /// values: after the last block no other row is looked at. Returns [S, W].
  [[nodiscard]] at::Tensor Forward(const at::Tensor& x_RW,
                                   const Sequences& sequences,
                                   const at::Tensor* read_B,
                                   BlockSaved& saved) const;
  /// Adds the parameters' gradients and returns that of the input. Frees what `saved` holds.
  [[nodiscard]] at::Tensor Backward(const at::Tensor& gradient_SW,
                                    const Sequences& sequences,
                                    const at::Tensor* read_B,
                                    BlockSaved& saved) const;

 private:
  void ProjectRows(const at::Tensor* read_B, BlockSaved& saved) const;
  [[nodiscard]] at::Tensor AttentionBackward(const at::Tensor& gradient_SW,
                                             const Sequences& sequences,
                                             const at::Tensor* read_B,
                                             const BlockSaved& saved) const;
  void Compute(const Sequences& sequences, const at::Tensor* read_B, BlockSaved& saved) const;
  void Forget(BlockSaved& saved) const;
  void Restore(const Sequences& sequences, const at::Tensor* read_B, BlockSaved& saved) const;

  // residual + linear(x), scaled where there is a layer scale, which then keeps linear(x) in
  // `added`; and from the sum's gradient to that of x.
  [[nodiscard]] static at::Tensor AddOnto(const at::Tensor& residual_SW,
                                          const Linear& linear,
                                          const std::optional<LayerScale>& scale,
                                          const at::Tensor& x,
                                          at::Tensor& added_SW);
  [[nodiscard]] static at::Tensor AddedBackward(const Linear& linear,
                                                const std::optional<LayerScale>& scale,
                                                const at::Tensor& x,
                                                const at::Tensor& added_SW,
                                                const at::Tensor& gradient_SW);

  LayerNorm ln_1_, ln_2_;
  Linear in_proj_, out_proj_, c_proj_;
  GeluLinear c_fc_;
  std::optional<LayerScale> ls_1_, ls_2_;
  Attention attention_;
  Recompute recompute_;
};

/// A stack of blocks, from all tokens to the one a sample that is read.
class Transformer {
 public:
  /// `parameters` must outlive it.
  Transformer(ParameterStore& parameters, const TransformerShape& shape);

  struct Saved {
    Sequences sequences;
    at::Tensor read_B;
    std::vector<BlockSaved> blocks;
  };
  /// Returns rows `read_B` (int64), one of each sample, [B, W]. Where the blocks are causal it is
  /// the sample's last. `saved` may be null: then nothing is kept for a backward pass.
  [[nodiscard]] at::Tensor Forward(at::Tensor x_RW,
                                   const Sequences& sequences,
                                   const at::Tensor& read_B,
                                   Saved* saved) const;
  /// From the gradient of the read tokens to that of the input.
  [[nodiscard]] at::Tensor Backward(at::Tensor gradient_BW, Saved& saved) const;

 private:
  ParameterStore& parameters_;
  std::vector<Block> blocks_;
  std::vector<size_t> buckets_;  // of the blocks' parameters
};

}  // namespace sweep
