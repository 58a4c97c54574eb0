#include "trainer/clip_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <array>

#include "trainer/fused_ops.h"

namespace sweep {
namespace {

// Of CLIP's training images, for values in [0, 1] (OpenAI CLIP's preprocessing).
constexpr std::array<double, 3> kMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kDeviation = {0.26862954, 0.26130258, 0.27577711};

LayerNorm NormAt(const ParameterStore& parameters, const std::string& name) {
  return {&parameters.Get(name + ".weight"), &parameters.Get(name + ".bias")};
}

}  // namespace

VisionTower::VisionTower(ParameterStore& parameters, const ModelSpec& model, Recompute recompute)
    : parameters_(parameters),
      embeddings_(parameters.BucketOf(Tower::kVision, 0)),
      head_(parameters.BucketOf(Tower::kVision, model.vision.layers + 1)),
      spec_(model.vision),
      conv1_{&parameters.Get("visual.conv1.weight"), nullptr},
      ln_pre_(NormAt(parameters, "visual.ln_pre")),
      ln_post_(NormAt(parameters, "visual.ln_post")),
      transformer_(parameters,
                   {"visual.transformer.",
                    Tower::kVision,
                    model.vision.layers,
                    model.vision.heads(),
                    /*causal=*/false,
                    model.quick_gelu,
                    model.vision.ls_init_value > 0,
                    recompute}) {
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

// [B*k, 3*p*p]: a convolution whose kernel is its stride is a linear layer on patches.
at::Tensor VisionTower::Patches(const at::Tensor& images_BCSS, const at::Tensor& kept_BK) const {
  const int64_t batch = images_BCSS.size(0);
  const int64_t p = spec_.patch_size;
  const int64_t side = spec_.image_size;
  const int64_t grid = side / p;
  at::Tensor pixels = images_BCSS.to(at::kFloat);
  if (pixels.size(2) != side)
    pixels = at::_upsample_bilinear2d_aa(pixels, {side, side}, /*align_corners=*/false);
  const at::Tensor pixels_B3SS = pixels * scale_C_ + shift_C_;
  at::Tensor patches = pixels_B3SS.view({batch, 3, grid, p, grid, p})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({batch * grid * grid, 3 * p * p});
  if (kept_BK.defined()) {
    const at::Tensor first_B1 =
        EqualSequences(batch, grid * grid, kept_BK.device()).starts_B.unsqueeze(1);
    patches = patches.index_select(0, (kept_BK + first_B1).flatten());
  }
  return patches.to(parameters_.compute_type());
}

at::Tensor VisionTower::Embed(const Saved& saved) const {
  const at::Tensor& positions_NW = parameters_.Get("visual.positional_embedding").compute;
  const at::Tensor& class_W = parameters_.Get("visual.class_embedding").compute;
  const at::Tensor of_patches_nW = positions_NW.narrow(0, 1, spec_.patches());
  const int64_t kept = saved.patches.size(0) / saved.batch;
  at::Tensor x_BNW = at::empty({saved.batch, kept + 1, spec_.width}, saved.patches.options());
  x_BNW.select(1, 0).copy_(class_W + positions_NW.select(0, 0));
  at::Tensor tokens_BkW = x_BNW.narrow(1, 1, kept);
  at::add_out(
      tokens_BkW,
      conv1_.Forward(saved.patches).view({saved.batch, kept, spec_.width}),
      saved.kept_BK.defined() ? at::embedding(of_patches_nW, saved.kept_BK) : of_patches_nW);
  return x_BNW.view({-1, spec_.width});
}

void VisionTower::EmbedBackward(const at::Tensor& gradient_RW, const Saved& saved) const {
  const at::Tensor g_BNW = gradient_RW.view({saved.batch, -1, spec_.width});
  const at::Tensor g_BkW = g_BNW.narrow(1, 1, g_BNW.size(1) - 1);
  const at::Tensor g_class_BW = g_BNW.select(1, 0).contiguous();
  const at::Tensor g_patches_RW = g_BkW.reshape({-1, spec_.width});
  const at::Tensor& positions_NW = parameters_.Get("visual.positional_embedding").gradient;
  if (saved.kept_BK.defined()) {
    AddColumnSums(positions_NW.select(0, 0), g_class_BW);
    AddToRows(positions_NW, (saved.kept_BK + 1).flatten(), g_patches_RW);
  } else {
    AddColumnSums(positions_NW, g_BNW.flatten(1));
  }
  AddColumnSums(parameters_.Get("visual.class_embedding").gradient, g_class_BW);
  (void)conv1_.Backward(saved.patches, g_patches_RW, /*needs_input_gradient=*/false);
}

at::Tensor VisionTower::Forward(const at::Tensor& images_BCSS,
                                const at::Tensor& kept_BK,
                                Saved* saved) const {
  Saved unused;
  Saved& keep = saved != nullptr ? *saved : unused;
  keep.batch = images_BCSS.size(0);
  keep.kept_BK = kept_BK;
  keep.patches = Patches(images_BCSS, kept_BK);
  parameters_.Gather(embeddings_);
  keep.embedded_RW = Embed(keep);
  const at::Tensor x_RW = ln_pre_.Forward(keep.embedded_RW, keep.ln_pre);
  parameters_.Release(embeddings_);
  const Sequences sequences = EqualSequences(keep.batch, x_RW.size(0) / keep.batch, x_RW.device());
  const at::Tensor& class_tokens_B = sequences.starts_B;
  keep.pooled_BW = transformer_.Forward(
      x_RW, sequences, class_tokens_B, saved != nullptr ? &keep.blocks : nullptr);
  parameters_.Gather(head_);
  keep.normed_BW = ln_post_.Forward(keep.pooled_BW, keep.ln_post);
  keep.features_BE = Normalize(Project(parameters_.Get("visual.proj"), keep.normed_BW));
  parameters_.Release(head_);
  return keep.features_BE.unit_RO;
}

void VisionTower::Backward(const at::Tensor& gradient_BE, Saved& saved) const {
  at::Tensor g = NormalizeBackward(saved.features_BE, gradient_BE).to(parameters_.compute_type());
  parameters_.GatherForBackward(head_);
  g = ProjectBackward(parameters_.Get("visual.proj"), saved.normed_BW, g);
  g = ln_post_.Backward(saved.pooled_BW, saved.ln_post, g);
  parameters_.ReduceGradients(head_);
  g = transformer_.Backward(g, saved.blocks);
  parameters_.GatherForBackward(embeddings_);
  g = ln_pre_.Backward(saved.embedded_RW, saved.ln_pre, g);
  EmbedBackward(g, saved);
  parameters_.ReduceGradients(embeddings_);
}

TextTower::TextTower(ParameterStore& parameters, const ModelSpec& model, Recompute recompute)
    : parameters_(parameters),
      embeddings_(parameters.BucketOf(Tower::kText, 0)),
      head_(parameters.BucketOf(Tower::kText, model.text.layers + 1)),
      spec_(model.text),
      ln_final_(NormAt(parameters, "ln_final")),
      transformer_(parameters,
                   {"transformer.",
                    Tower::kText,
                    model.text.layers,
                    model.text.heads,
                    /*causal=*/true,
                    model.quick_gelu,
                    model.text.ls_init_value > 0,
                    recompute}) {}

at::Tensor TextTower::Forward(const TextRows& texts, Saved* saved) const {
  Saved unused;
  Saved& keep = saved != nullptr ? *saved : unused;
  keep.texts = texts;
  parameters_.Gather(embeddings_);
  const at::Tensor x_RW =
      at::embedding(parameters_.Get("token_embedding.weight").compute, keep.texts.tokens_R)
          .add_(at::embedding(parameters_.Get("positional_embedding").compute,
                              keep.texts.positions_R));
  parameters_.Release(embeddings_);
  keep.pooled_BW = transformer_.Forward(
      x_RW, keep.texts.sequences, keep.texts.ends_B, saved != nullptr ? &keep.blocks : nullptr);
  parameters_.Gather(head_);
  keep.normed_BW = ln_final_.Forward(keep.pooled_BW, keep.ln_final);
  keep.features_BE = Normalize(Project(parameters_.Get("text_projection"), keep.normed_BW));
  parameters_.Release(head_);
  return keep.features_BE.unit_RO;
}

void TextTower::Backward(const at::Tensor& gradient_BE, Saved& saved) const {
  at::Tensor g = NormalizeBackward(saved.features_BE, gradient_BE).to(parameters_.compute_type());
  parameters_.GatherForBackward(head_);
  g = ProjectBackward(parameters_.Get("text_projection"), saved.normed_BW, g);
  g = ln_final_.Backward(saved.pooled_BW, saved.ln_final, g);
  parameters_.ReduceGradients(head_);
  const at::Tensor g_RW = transformer_.Backward(g, saved.blocks);
  parameters_.GatherForBackward(embeddings_);
  AddToRows(parameters_.Get("positional_embedding").gradient, saved.texts.positions_R, g_RW);
  AddToRows(parameters_.Get("token_embedding.weight").gradient, saved.texts.tokens_R, g_RW);
  parameters_.ReduceGradients(embeddings_);
}

ClipModel::ClipModel(ParameterStore& parameters, const ModelSpec& model, Recompute recompute)
    : vision(parameters, model, recompute),
      text(parameters, model, recompute),
      logit_scale(parameters.Get("logit_scale")) {}

}  // namespace sweep
