#include "trainer/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace sweep {
namespace {

LayerNorm NormAt(const ParameterStore& parameters, const std::string& name) {
  return {&parameters.Get(name + ".weight"), &parameters.Get(name + ".bias")};
}

Linear LinearAt(const ParameterStore& parameters, const std::string& name) {
  return {&parameters.Get(name + ".weight"), &parameters.Get(name + ".bias")};
}

// Thirds (query, key, value) of a packed projection's columns.
AttentionRows Thirds(const at::Tensor& packed) {
  const int64_t width = packed.size(1) / 3;
  return {packed.narrow(1, 0, width),
          packed.narrow(1, width, width),
          packed.narrow(1, 2 * width, width)};
}

}  // namespace

Block::Block(const ParameterStore& parameters,
             const std::string& prefix,
             const TransformerShape& shape)
    : ln_1_(NormAt(parameters, prefix + "ln_1")),
      ln_2_(NormAt(parameters, prefix + "ln_2")),
      in_proj_{&parameters.Get(prefix + "attn.in_proj_weight"),
               &parameters.Get(prefix + "attn.in_proj_bias")},
      out_proj_(LinearAt(parameters, prefix + "attn.out_proj")),
      c_proj_(LinearAt(parameters, prefix + "mlp.c_proj")),
      c_fc_(LinearAt(parameters, prefix + "mlp.c_fc"), shape.quick_gelu),
      attention_(shape.heads, shape.causal),
      recompute_(shape.recompute) {
  if (!shape.layer_scale) return;
  ls_1_ = LayerScale{&parameters.Get(prefix + "ls_1.gamma")};
  ls_2_ = LayerScale{&parameters.Get(prefix + "ls_2.gamma")};
}

at::Tensor Block::AddOnto(const at::Tensor& residual_SW,
                          const Linear& linear,
                          const std::optional<LayerScale>& scale,
                          const at::Tensor& x,
                          at::Tensor& added_SW) {
  if (!scale) return linear.ForwardOnto(residual_SW, x);
  added_SW = linear.Forward(x);
  return scale->ForwardOnto(residual_SW, added_SW);
}

at::Tensor Block::AddedBackward(const Linear& linear,
                                const std::optional<LayerScale>& scale,
                                const at::Tensor& x,
                                const at::Tensor& added_SW,
                                const at::Tensor& gradient_SW) {
  return linear.Backward(x, scale ? scale->Backward(added_SW, gradient_SW) : gradient_SW);
}

// Fills query_SW, key_RW and value_RW.
void Block::ProjectRows(const at::Tensor* read_B, BlockSaved& saved) const {
  const int64_t width = saved.x_RW.size(1);
  if (read_B == nullptr) {
    const AttentionRows rows = Thirds(in_proj_.Forward(saved.normed_1_RW));
    saved.query_SW = rows.query;
    saved.key_RW = rows.key;
    saved.value_RW = rows.value;
    return;
  }
  saved.normed_1_SW = saved.normed_1_RW.index_select(0, *read_B);
  saved.query_SW = in_proj_.Slice(0, width).Forward(saved.normed_1_SW);
  const at::Tensor pair = in_proj_.Slice(width, 2 * width).Forward(saved.normed_1_RW);
  saved.key_RW = pair.narrow(1, 0, width);
  saved.value_RW = pair.narrow(1, width, width);
}

// Fills `saved` up to the MLP's activation; saved.x_RW is there.
void Block::Compute(const Sequences& sequences, const at::Tensor* read_B, BlockSaved& saved) const {
  const at::Tensor& x_RW = saved.x_RW;
  saved.normed_1_RW = ln_1_.Forward(x_RW, saved.norm_1);
  ProjectRows(read_B, saved);
  saved.attended_SW = attention_.Forward(
      {saved.query_SW, saved.key_RW, saved.value_RW}, sequences, saved.attention);
  const at::Tensor x_SW = read_B != nullptr ? x_RW.index_select(0, *read_B) : x_RW;
  saved.middle_SW = AddOnto(x_SW, out_proj_, ls_1_, saved.attended_SW, saved.added_1_SW);
  saved.normed_2_SW = ln_2_.Forward(saved.middle_SW, saved.norm_2);
  saved.activated_SM = c_fc_.Forward(saved.normed_2_SW, saved.hidden_SM);
}

void Block::Forget(BlockSaved& saved) const {
  if (recompute_ == Recompute::kCheap) {
    for (at::Tensor* kept :
         {&saved.normed_1_RW, &saved.normed_1_SW, &saved.normed_2_SW, &saved.activated_SM})
      kept->reset();
  } else if (recompute_ == Recompute::kBlocks) {
    BlockSaved input;
    input.x_RW = saved.x_RW;
    saved = std::move(input);
  }
}

void Block::Restore(const Sequences& sequences, const at::Tensor* read_B, BlockSaved& saved) const {
  if (recompute_ == Recompute::kCheap) {
    saved.normed_1_RW = ln_1_.Forward(saved.x_RW, saved.norm_1);
    if (read_B != nullptr) saved.normed_1_SW = saved.normed_1_RW.index_select(0, *read_B);
    saved.normed_2_SW = ln_2_.Forward(saved.middle_SW, saved.norm_2);
    saved.activated_SM = c_fc_.Activate(saved.hidden_SM);
  } else if (recompute_ == Recompute::kBlocks) {
    Compute(sequences, read_B, saved);
    if (ls_2_) saved.added_2_SW = c_proj_.Forward(saved.activated_SM);
  }
}

at::Tensor Block::Forward(const at::Tensor& x_RW,
                          const Sequences& sequences,
                          const at::Tensor* read_B,
                          BlockSaved& saved) const {
  saved.x_RW = x_RW;
  Compute(sequences, read_B, saved);
  at::Tensor y_SW = AddOnto(saved.middle_SW, c_proj_, ls_2_, saved.activated_SM, saved.added_2_SW);
  Forget(saved);
  return y_SW;
}

at::Tensor Block::Backward(const at::Tensor& gradient_SW,
                           const Sequences& sequences,
                           const at::Tensor* read_B,
                           BlockSaved& saved) const {
  Restore(sequences, read_B, saved);
  at::Tensor g = AddedBackward(c_proj_, ls_2_, saved.activated_SM, saved.added_2_SW, gradient_SW);
  g = c_fc_.Backward(saved.normed_2_SW, saved.hidden_SM, g);
  const at::Tensor middle_SW = ln_2_.Backward(saved.middle_SW, saved.norm_2, g, gradient_SW);
  g = AddedBackward(out_proj_, ls_1_, saved.attended_SW, saved.added_1_SW, middle_SW);
  g = AttentionBackward(g, sequences, read_B, saved);
  if (read_B == nullptr) {
    g = ln_1_.Backward(saved.x_RW, saved.norm_1, g, middle_SW);
  } else {
    g = ln_1_.Backward(saved.x_RW, saved.norm_1, g);
    g.index_add_(0, *read_B, middle_SW);
  }
  saved = BlockSaved();
  return g;
}

// From the gradient of the heads' outputs to that of ln_1's output.
at::Tensor Block::AttentionBackward(const at::Tensor& gradient_SW,
                                    const Sequences& sequences,
                                    const at::Tensor* read_B,
                                    const BlockSaved& saved) const {
  const AttentionRows rows{saved.query_SW, saved.key_RW, saved.value_RW};
  const int64_t width = gradient_SW.size(1);
  const int64_t all = saved.x_RW.size(0);
  if (read_B == nullptr) {
    const at::Tensor packed = at::empty({all, 3 * width}, gradient_SW.options());
    attention_.Backward(rows, sequences, saved.attention, gradient_SW, Thirds(packed));
    return in_proj_.Backward(saved.normed_1_RW, packed);
  }
  const at::Tensor query = at::empty_like(gradient_SW);
  const at::Tensor pair = at::empty({all, 2 * width}, gradient_SW.options());
  attention_.Backward(rows,
                      sequences,
                      saved.attention,
                      gradient_SW,
                      {query, pair.narrow(1, 0, width), pair.narrow(1, width, width)});
  at::Tensor g = in_proj_.Slice(width, 2 * width).Backward(saved.normed_1_RW, pair);
  g.index_add_(0, *read_B, in_proj_.Slice(0, width).Backward(saved.normed_1_SW, query));
  return g;
}

Transformer::Transformer(ParameterStore& parameters, const TransformerShape& shape)
    : parameters_(parameters) {
  for (int64_t i = 0; i < shape.layers; ++i) {
    blocks_.emplace_back(parameters, shape.prefix + "resblocks." + std::to_string(i) + ".", shape);
    buckets_.push_back(parameters.BucketOf(shape.tower, i + 1));
  }
}

at::Tensor Transformer::Forward(at::Tensor x_RW,
                                const Sequences& sequences,
                                const at::Tensor& read_B,
                                Saved* saved) const {
  if (saved != nullptr) {
    saved->sequences = sequences;
    saved->read_B = read_B;
    saved->blocks.assign(blocks_.size(), {});
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    BlockSaved unused;
    BlockSaved& keep = saved != nullptr ? saved->blocks[i] : unused;
    const bool last = i + 1 == blocks_.size();
    parameters_.Gather(buckets_[i]);
    if (!last) parameters_.Prefetch(buckets_[i + 1]);
    x_RW = blocks_[i].Forward(x_RW, sequences, last ? &read_B : nullptr, keep);
    parameters_.Release(buckets_[i]);
  }
  return x_RW;
}

at::Tensor Transformer::Backward(at::Tensor gradient, Saved& saved) const {
  for (size_t i = blocks_.size(); i-- > 0;) {
    const bool last = i + 1 == blocks_.size();
    parameters_.GatherForBackward(buckets_[i]);
    if (i > 0) parameters_.Prefetch(buckets_[i - 1]);
    gradient = blocks_[i].Backward(
        gradient, saved.sequences, last ? &saved.read_B : nullptr, saved.blocks[i]);
    parameters_.ReduceGradients(buckets_[i]);
  }
  return gradient;
}

}  // namespace sweep
