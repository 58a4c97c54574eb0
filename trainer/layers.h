#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/parameter_store.h"

namespace sweep {

/// The pieces of a transformer, each as a forward function and its hand-written derivative. Nothing
/// here uses autograd: a step is a fixed list of calls, activations live exactly as long as the
/// backward pass needs them, and gradients are added straight into the parameter store. On a CPU
/// everything between matrix products is one pass of a kernel (cpu_kernels.h) where widths allow.
///
/// Dimension letters: R rows (batch x tokens), W width, O output width, M hidden width of the MLP.

/// x W' + b.
class Linear {
 public:
  /// `bias_O` may be null. Both must outlive the layer.
  Linear(const Parameter* weight_OW, const Parameter* bias_O)
      : weight_OW_(weight_OW), bias_O_(bias_O) {}

  /// The layer that computes `outputs` of the outputs, from `first` on.
  [[nodiscard]] Linear Slice(int64_t first, int64_t outputs) const;

  [[nodiscard]] at::Tensor Forward(const at::Tensor& x_RW) const;
  /// Forward(x) + residual.
  [[nodiscard]] at::Tensor ForwardOnto(const at::Tensor& residual_RO, const at::Tensor& x_RW) const;

  /// Adds the parameters' gradients; returns the input's when `needs_input_gradient`.
  at::Tensor Backward(const at::Tensor& x_RW,
                      const at::Tensor& gradient_RO,
                      bool needs_input_gradient = true) const;

  /// x W' without the bias, and its backward: for callers that fuse the bias with what follows.
  [[nodiscard]] at::Tensor Product(const at::Tensor& x_RW) const;
  at::Tensor ProductBackward(const at::Tensor& x_RW,
                             const at::Tensor& gradient_RO,
                             bool needs_input_gradient = true) const;
  [[nodiscard]] at::Tensor bias() const { return Rows(bias_O_->compute); }
  [[nodiscard]] at::Tensor bias_gradient() const { return Rows(bias_O_->gradient); }

 private:
  [[nodiscard]] at::Tensor Rows(const at::Tensor& all) const;

  const Parameter* weight_OW_;
  const Parameter* bias_O_;
  int64_t first_ = 0;
  int64_t count_ = -1;  // -1: all outputs
};

/// gelu(x W' + b) with the exact GELU x Phi(x), or QuickGELU x sigmoid(1.702 x).
class GeluLinear {
 public:
  GeluLinear(const Linear& linear, bool quick) : linear_(linear), quick_(quick) {}

  /// Keeps x W' + b in `hidden_RM`.
  [[nodiscard]] at::Tensor Forward(const at::Tensor& x_RW, at::Tensor& hidden_RM) const;
  /// gelu(hidden), to have again what Forward returned.
  [[nodiscard]] at::Tensor Activate(const at::Tensor& hidden_RM) const;
  /// Uses `gradient_RM` up.
  [[nodiscard]] at::Tensor Backward(const at::Tensor& x_RW,
                                    const at::Tensor& hidden_RM,
                                    at::Tensor gradient_RM) const;

 private:
  // hidden += bias where it is defined; returns the activation.
  [[nodiscard]] at::Tensor AddBiasAndActivate(const at::Tensor& hidden_RM,
                                              const at::Tensor& bias_M) const;

  Linear linear_;
  bool quick_;
};

/// LayerNorm with eps 1e-5.
struct LayerNorm {
  const Parameter* weight_W = nullptr;
  const Parameter* bias_W = nullptr;

  struct Saved {
    at::Tensor mean_R;
    at::Tensor rstd_R;
  };
  [[nodiscard]] at::Tensor Forward(const at::Tensor& x_RW, Saved& saved) const;
  /// Gradient of x, plus `residual_RW` where it is defined.
  [[nodiscard]] at::Tensor Backward(const at::Tensor& x_RW,
                                    const Saved& saved,
                                    const at::Tensor& gradient_RW,
                                    const at::Tensor& residual_RW = {}) const;
};

/// x * gamma, a gain for each feature on what a block adds to its input (Touvron et al. 2021,
/// CaiT).
struct LayerScale {
  const Parameter* gamma_W = nullptr;

  /// x_RW * gamma + residual.
  [[nodiscard]] at::Tensor ForwardOnto(const at::Tensor& residual_RW, const at::Tensor& x_RW) const;
  /// Adds gamma's gradient and returns x's.
  [[nodiscard]] at::Tensor Backward(const at::Tensor& x_RW, const at::Tensor& gradient_RW) const;
};

/// x_RW @ weight_WO, the projection to the shared space, which has no bias.
[[nodiscard]] at::Tensor Project(const Parameter& weight_WO, const at::Tensor& x_RW);
[[nodiscard]] at::Tensor ProjectBackward(const Parameter& weight_WO,
                                         const at::Tensor& x_RW,
                                         const at::Tensor& gradient_RO);

/// Rows scaled to unit length in fp32 (lengths below 1e-12 count as that). Returns the unit rows
/// and the lengths R1.
struct Normalized {
  at::Tensor unit_RO;
  at::Tensor length_R1;
};
[[nodiscard]] Normalized Normalize(const at::Tensor& x_RO);
[[nodiscard]] at::Tensor NormalizeBackward(const Normalized& normalized,
                                           const at::Tensor& gradient_RO);

}  // namespace sweep
