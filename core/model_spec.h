#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"

namespace sweep {

/// Vision transformer tower. Lengths in pixels, widths in features.
struct VisionSpec {
  int64_t image_size = 0;  ///< square input, pixels
  int64_t patch_size = 0;  ///< pixels; the convolution's kernel and stride
  int64_t width = 0;
  int64_t layers = 0;
  int64_t head_width = 64;  ///< features a head; width / head_width heads
  double mlp_ratio = 4.0;   ///< hidden width = int(width * mlp_ratio)
  /// First gain of each block's two layer scales (Touvron et al. 2021, CaiT): x + gain * f(x). 0:
  /// none.
  double ls_init_value = 0;

  [[nodiscard]] int64_t heads() const { return width / head_width; }
  [[nodiscard]] int64_t mlp_width() const {
    return static_cast<int64_t>(static_cast<double>(width) * mlp_ratio);
  }
  [[nodiscard]] int64_t patches() const {
    return (image_size / patch_size) * (image_size / patch_size);
  }
  /// Patches and the class token.
  [[nodiscard]] int64_t tokens() const { return patches() + 1; }
  bool operator==(const VisionSpec&) const = default;
};

/// Causal text transformer tower.
struct TextSpec {
  int64_t context_length = 0;  ///< tokens, start and end included
  int64_t vocab_size = 0;
  int64_t width = 0;
  int64_t heads = 0;
  int64_t layers = 0;
  double mlp_ratio = 4.0;
  double ls_init_value = 0;  ///< as in VisionSpec

  [[nodiscard]] int64_t mlp_width() const {
    return static_cast<int64_t>(static_cast<double>(width) * mlp_ratio);
  }
  bool operator==(const TextSpec&) const = default;
};

/// Dimensions of a two-tower CLIP as in open_clip's model configurations: all that decides its
/// weights' shapes and its function. The name is a label kept elsewhere.
struct ModelSpec {
  int64_t embed_dim = 0;
  VisionSpec vision;
  TextSpec text;
  bool quick_gelu = false;       ///< x * sigmoid(1.702 x) instead of the exact GELU
  std::string loss = "softmax";  ///< `softmax` (CLIP) or `sigmoid` (SigLIP), which has a logit_bias
  [[nodiscard]] bool sigmoid() const { return loss == "sigmoid"; }
  bool operator==(const ModelSpec&) const = default;
};

template <class Visitor>
void VisitFields(Visitor& visit, VisionSpec& s) {
  visit("image_size", s.image_size);
  visit("patch_size", s.patch_size);
  visit("width", s.width);
  visit("layers", s.layers);
  visit("head_width", s.head_width, 64);
  visit("mlp_ratio", s.mlp_ratio, 4.0);
  visit("ls_init_value", s.ls_init_value, 0.0);
}

template <class Visitor>
void VisitFields(Visitor& visit, TextSpec& s) {
  visit("context_length", s.context_length);
  visit("vocab_size", s.vocab_size);
  visit("width", s.width);
  visit("heads", s.heads);
  visit("layers", s.layers);
  visit("mlp_ratio", s.mlp_ratio, 4.0);
  visit("ls_init_value", s.ls_init_value, 0.0);
}

template <class Visitor>
void VisitFields(Visitor& visit, ModelSpec& s) {
  visit("embed_dim", s.embed_dim);
  visit("vision", s.vision);
  visit("text", s.text);
  visit("quick_gelu", s.quick_gelu, false);
  visit("loss", s.loss, "softmax");
}

/// Reads and checks a model definition. Throws Failure(kUsage) naming `origin`, the field, its
/// value and what was expected (positive sizes, an image that divides into patches, widths that
/// divide into heads).
[[nodiscard]] ModelSpec ParseModelSpec(const Json& json, const std::string& origin);

/// The same of a model that is at hand.
void ValidateModelSpec(const ModelSpec& model, const std::string& origin);

}  // namespace sweep
