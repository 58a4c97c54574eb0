#include "trainer/transformer.h"

#include <ATen/TensorOperators.h>

namespace sweep {
namespace {

LayerNorm NormAt(const ParameterStore& parameters, const std::string& name) {
  return {&parameters.Get(name + ".weight"), &parameters.Get(name + ".bias")};
}

Linear LinearAt(const ParameterStore& parameters, const std::string& name) {
  return {&parameters.Get(name + ".weight"), &parameters.Get(name + ".bias")};
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
      c_fc_(LinearAt(parameters, prefix + "mlp.c_fc")),
      c_proj_(LinearAt(parameters, prefix + "mlp.c_proj")),
      attention_(shape.heads, shape.causal),
      gelu_{shape.quick_gelu} {}

at::Tensor Block::Forward(const at::Tensor& x_RW, int64_t batch, BlockSaved& saved) const {
  saved.x_RW = x_RW;
  saved.normed_1_RW = ln_1_.Forward(x_RW, saved.norm_1);
  saved.qkv_R3W = in_proj_.Forward(saved.normed_1_RW);
  saved.attended_RW = attention_.Forward(saved.qkv_R3W, batch, saved.attention);
  saved.middle_RW = out_proj_.Forward(saved.attended_RW).add_(x_RW);
  saved.normed_2_RW = ln_2_.Forward(saved.middle_RW, saved.norm_2);
  saved.hidden_RM = c_fc_.Forward(saved.normed_2_RW);
  saved.activated_RM = gelu_.Forward(saved.hidden_RM);
  return c_proj_.Forward(saved.activated_RM).add_(saved.middle_RW);
}

at::Tensor Block::Backward(const at::Tensor& gradient_RW, int64_t batch, BlockSaved& saved) const {
  at::Tensor g = c_proj_.Backward(saved.activated_RM, gradient_RW);
  g = gelu_.Backward(saved.hidden_RM, g);
  g = c_fc_.Backward(saved.normed_2_RW, g);
  const at::Tensor middle_RW = ln_2_.Backward(saved.middle_RW, saved.norm_2, g).add_(gradient_RW);
  g = out_proj_.Backward(saved.attended_RW, middle_RW);
  g = attention_.Backward(saved.qkv_R3W, batch, saved.attention, g);
  g = in_proj_.Backward(saved.normed_1_RW, g);
  g = ln_1_.Backward(saved.x_RW, saved.norm_1, g).add_(middle_RW);
  saved = BlockSaved();
  return g;
}

Transformer::Transformer(const ParameterStore& parameters, const TransformerShape& shape) {
  for (int64_t i = 0; i < shape.layers; ++i) {
    blocks_.emplace_back(parameters, shape.prefix + "resblocks." + std::to_string(i) + ".", shape);
  }
}

at::Tensor Transformer::Forward(at::Tensor x_RW, int64_t batch, Saved* saved) const {
  if (saved != nullptr) saved->assign(blocks_.size(), {});
  for (size_t i = 0; i < blocks_.size(); ++i) {
    BlockSaved unused;
    x_RW = blocks_[i].Forward(x_RW, batch, saved != nullptr ? (*saved)[i] : unused);
  }
  return x_RW;
}

at::Tensor Transformer::Backward(at::Tensor gradient_RW, int64_t batch, Saved& saved) const {
  for (size_t i = blocks_.size(); i-- > 0;) {
    gradient_RW = blocks_[i].Backward(gradient_RW, batch, saved[i]);
  }
  return gradient_RW;
}

}  // namespace sweep
