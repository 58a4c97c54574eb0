#pragma once

#include <optional>

#include "core/model_spec.h"
#include "trainer/transformer.h"

namespace sweep {

/// Vision transformer tower of open_clip: patches -> class token -> positions -> ln_pre -> blocks
/// -> the class token -> ln_post -> projection -> unit length. B batch, C channels (1 or 3), S
/// image side, N image tokens, W width, E embedding.
class VisionTower {
 public:
  VisionTower(ParameterStore& parameters, const ModelSpec& model, Recompute recompute);

  struct Saved {
    int64_t batch = 0;
    at::Tensor patches, kept_BK, embedded_RW, pooled_BW, normed_BW;
    LayerNorm::Saved ln_pre, ln_post;
    Transformer::Saved blocks;
    Normalized features_BE;
  };

  /// `images_BCSS` are bytes; grey is repeated, images of another size are resized (bilinear,
  /// antialiased), then CLIP's mean and deviation are taken. Only the patches `kept_BK` (int64) are
  /// looked at; undefined: all. Returns fp32 features_BE of unit length; `saved` may be null.
  [[nodiscard]] at::Tensor Forward(const at::Tensor& images_BCSS,
                                   const at::Tensor& kept_BK,
                                   Saved* saved) const;
  void Backward(const at::Tensor& gradient_BE, Saved& saved) const;

 private:
  [[nodiscard]] at::Tensor Patches(const at::Tensor& images_BCSS, const at::Tensor& kept_BK) const;
  [[nodiscard]] at::Tensor Embed(const Saved& saved) const;
  void EmbedBackward(const at::Tensor& gradient_RW, const Saved& saved) const;

  ParameterStore& parameters_;
  size_t embeddings_, head_;  // buckets of what is before and after the blocks
  VisionSpec spec_;
  Linear conv1_;
  LayerNorm ln_pre_, ln_post_;
  Transformer transformer_;
  at::Tensor scale_C_, shift_C_;  // pixel bytes to normalised values
};

/// Causal text transformer tower of open_clip: tokens -> positions -> blocks -> the end-of-text
/// token -> ln_final -> projection -> unit length.
class TextTower {
 public:
  TextTower(ParameterStore& parameters, const ModelSpec& model, Recompute recompute);

  struct Saved {
    TextRows texts;
    at::Tensor pooled_BW, normed_BW;
    LayerNorm::Saved ln_final;
    Transformer::Saved blocks;
    Normalized features_BE;
  };

  /// Texts as rows on the device; what is after a text's end-of-text token is not among them.
  /// Returns fp32 features_BE of unit length; `saved` may be null.
  [[nodiscard]] at::Tensor Forward(const TextRows& texts, Saved* saved) const;
  /// The same of `tokens_BT`, int64 on the CPU.
  [[nodiscard]] at::Tensor Forward(const at::Tensor& tokens_BT, Saved* saved) const {
    return Forward(PackTexts(tokens_BT, parameters_.device()), saved);
  }
  void Backward(const at::Tensor& gradient_BE, Saved& saved) const;

 private:
  ParameterStore& parameters_;
  size_t embeddings_, head_;  // buckets of what is before and after the blocks
  TextSpec spec_;
  LayerNorm ln_final_;
  Transformer transformer_;
};

/// Both towers over one parameter store, which must outlive the model.
struct ClipModel {
  ClipModel(ParameterStore& parameters,
            const ModelSpec& model,
            Recompute recompute = Recompute::kNothing);

  VisionTower vision;
  TextTower text;
  const Parameter& logit_scale;  ///< logarithm of the factor on the similarities
};

}  // namespace sweep
