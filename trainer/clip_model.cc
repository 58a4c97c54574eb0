#include "trainer/clip_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>

#include <array>

namespace sweep {
namespace {

// Of CLIP's training images, for values in [0, 1] (OpenAI CLIP's preprocessing).
constexpr std::array<double, 3> kMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kDeviation = {0.26862954, 0.26130258, 0.27577711};

LayerNorm NormAt(const ParameterStore& parameters, const std::string& name) {
  return {&parameters.Get(name + ".weight"), &parameters.Get(name + ".bias")};
}

// Row of each sample's first token.
at::Tensor FirstRows(int64_t batch, int64_t tokens, at::Device device) {
  return at::arange(0, batch * tokens, tokens, at::TensorOptions().device(device).dtype(at::kLong));
}

}  // namespace

VisionTower::VisionTower(const ParameterStore& parameters, const ModelSpec& model)
    : parameters_(parameters),
      spec_(model.vision),
      conv1_{&parameters.Get("visual.conv1.weight"), nullptr},
      ln_pre_(NormAt(parameters, "visual.ln_pre")),
      ln_post_(NormAt(parameters, "visual.ln_post")),
      transformer_(parameters,
                   {"visual.transformer.",
                    model.vision.layers,
                    model.vision.heads(),
                    /*causal=*/false,
                    model.quick_gelu}) {
  std::vector<float> scale;
  std::vector<float> shift;
  for (size_t c = 0; c < kMean.size(); ++c) {
    scale.push_back(static_cast<float>(1 / (255 * kDeviation[c])));
    shift.push_back(static_cast<float>(-kMean[c] / kDeviation[c]));
  }
  const auto options = at::TensorOptions().device(parameters.device());
  scale_C_ = at::tensor(scale).view({3, 1, 1}).to(options);
  shift_C_ = at::tensor(shift).view({3, 1, 1}).to(options);
}

// [B*n, 3*p*p]: a convolution whose kernel is its stride is a linear layer on patches.
at::Tensor VisionTower::Patches(const at::Tensor& images_BCSS) const {
  const int64_t batch = images_BCSS.size(0);
  const int64_t p = spec_.patch_size;
  const int64_t grid = spec_.image_size / p;
  const at::Tensor pixels_B3SS = images_BCSS.to(at::kFloat) * scale_C_ + shift_C_;
  return pixels_B3SS.view({batch, 3, grid, p, grid, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch * grid * grid, 3 * p * p})
      .to(parameters_.compute_type());
}

at::Tensor VisionTower::Embed(const at::Tensor& patches, int64_t batch) const {
  const at::Tensor& positions_NW = parameters_.Get("visual.positional_embedding").compute;
  const at::Tensor& class_W = parameters_.Get("visual.class_embedding").compute;
  at::Tensor x_BNW = at::empty({batch, spec_.tokens(), spec_.width}, patches.options());
  x_BNW.select(1, 0).copy_(class_W + positions_NW.select(0, 0));
  at::Tensor tokens_BnW = x_BNW.narrow(1, 1, spec_.patches());
  at::add_out(tokens_BnW,
              conv1_.Forward(patches).view({batch, spec_.patches(), spec_.width}),
              positions_NW.narrow(0, 1, spec_.patches()));
  return x_BNW.view({-1, spec_.width});
}

void VisionTower::EmbedBackward(const at::Tensor& patches,
                                const at::Tensor& gradient_RW,
                                int64_t batch) const {
  const at::Tensor g_BNW = gradient_RW.view({batch, spec_.tokens(), spec_.width});
  const at::Tensor g_NW = g_BNW.sum(0);
  parameters_.Get("visual.positional_embedding").gradient.add_(g_NW);
  parameters_.Get("visual.class_embedding").gradient.add_(g_NW.select(0, 0));
  const at::Tensor g_PW = g_BNW.narrow(1, 1, spec_.patches()).reshape({-1, spec_.width});
  (void)conv1_.Backward(patches, g_PW, /*needs_input_gradient=*/false);
}

at::Tensor VisionTower::Forward(const at::Tensor& images_BCSS, Saved* saved) const {
  Saved unused;
  Saved& keep = saved != nullptr ? *saved : unused;
  keep.batch = images_BCSS.size(0);
  keep.patches = Patches(images_BCSS);
  keep.embedded_RW = Embed(keep.patches, keep.batch);
  const at::Tensor x_RW = ln_pre_.Forward(keep.embedded_RW, keep.ln_pre);
  const Readout class_token{FirstRows(keep.batch, spec_.tokens(), x_RW.device()), {}};
  keep.pooled_BW =
      transformer_.Forward(x_RW, class_token, saved != nullptr ? &keep.blocks : nullptr);
  keep.normed_BW = ln_post_.Forward(keep.pooled_BW, keep.ln_post);
  keep.features_BE = Normalize(Project(parameters_.Get("visual.proj"), keep.normed_BW));
  return keep.features_BE.unit_RO;
}

void VisionTower::Backward(const at::Tensor& gradient_BE, Saved& saved) const {
  at::Tensor g = NormalizeBackward(saved.features_BE, gradient_BE).to(parameters_.compute_type());
  g = ProjectBackward(parameters_.Get("visual.proj"), saved.normed_BW, g);
  g = ln_post_.Backward(saved.pooled_BW, saved.ln_post, g);
  g = transformer_.Backward(g, saved.blocks);
  g = ln_pre_.Backward(saved.embedded_RW, saved.ln_pre, g);
  EmbedBackward(saved.patches, g, saved.batch);
}

TextTower::TextTower(const ParameterStore& parameters, const ModelSpec& model)
    : parameters_(parameters),
      spec_(model.text),
      ln_final_(NormAt(parameters, "ln_final")),
      transformer_(parameters,
                   {"transformer.",
                    model.text.layers,
                    model.text.heads,
                    /*causal=*/true,
                    model.quick_gelu}) {}

at::Tensor TextTower::Forward(const at::Tensor& tokens_BT, Saved* saved) const {
  Saved unused;
  Saved& keep = saved != nullptr ? *saved : unused;
  const int64_t tokens = tokens_BT.size(1);
  keep.batch = tokens_BT.size(0);
  keep.tokens_BT = tokens_BT;
  const at::Tensor& positions_TW = parameters_.Get("positional_embedding").compute;
  at::Tensor x_RW = at::embedding(parameters_.Get("token_embedding.weight").compute, tokens_BT)
                        .add_(positions_TW.narrow(0, 0, tokens))
                        .view({-1, spec_.width});
  const at::Tensor ends_B = tokens_BT.argmax(1);
  const Readout end_token{ends_B + FirstRows(keep.batch, tokens, x_RW.device()), ends_B + 1};
  keep.pooled_BW = transformer_.Forward(x_RW, end_token, saved != nullptr ? &keep.blocks : nullptr);
  keep.normed_BW = ln_final_.Forward(keep.pooled_BW, keep.ln_final);
  keep.features_BE = Normalize(Project(parameters_.Get("text_projection"), keep.normed_BW));
  return keep.features_BE.unit_RO;
}

void TextTower::Backward(const at::Tensor& gradient_BE, Saved& saved) const {
  at::Tensor g = NormalizeBackward(saved.features_BE, gradient_BE).to(parameters_.compute_type());
  g = ProjectBackward(parameters_.Get("text_projection"), saved.normed_BW, g);
  g = ln_final_.Backward(saved.pooled_BW, saved.ln_final, g);
  const int64_t tokens = saved.tokens_BT.size(1);
  const at::Tensor g_RW = transformer_.Backward(g, saved.blocks);
  parameters_.Get("positional_embedding")
      .gradient.narrow(0, 0, tokens)
      .add_(g_RW.view({saved.batch, tokens, spec_.width}).sum(0));
  parameters_.Get("token_embedding.weight")
      .gradient.add_(at::embedding_dense_backward(g_RW.view({saved.batch, tokens, spec_.width}),
                                                  saved.tokens_BT,
                                                  spec_.vocab_size,
                                                  /*padding_idx=*/-1,
                                                  /*scale_grad_by_freq=*/false));
}

ClipModel::ClipModel(const ParameterStore& parameters, const ModelSpec& model)
    : vision(parameters, model),
      text(parameters, model),
      logit_scale(parameters.Get("logit_scale")) {}

}  // namespace sweep
