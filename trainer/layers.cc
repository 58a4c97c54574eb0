#include "trainer/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sum.h>

#include <array>
#include <optional>

namespace sweep {
namespace {

constexpr double kLayerNormEps = 1e-5;
constexpr double kLeastLength = 1e-12;
constexpr double kQuickGelu = 1.702;

// gradient += a @ b
void AddProduct(const at::Tensor& gradient, const at::Tensor& a, const at::Tensor& b) {
  at::Tensor out = gradient;
  at::addmm_out(out, gradient, a, b);
}

}  // namespace

Linear Linear::Slice(int64_t first, int64_t outputs) const {
  Linear slice = *this;
  slice.first_ = first;
  slice.count_ = outputs;
  return slice;
}

at::Tensor Linear::Forward(const at::Tensor& x_RW) const {
  std::optional<at::Tensor> bias;
  if (bias_O_ != nullptr) bias = Rows(bias_O_->compute);
  return at::linear(x_RW, Rows(weight_OW_->compute).flatten(1), bias);
}

at::Tensor Linear::Backward(const at::Tensor& x_RW,
                            const at::Tensor& gradient_RO,
                            bool needs_input_gradient) const {
  AddProduct(Rows(weight_OW_->gradient).flatten(1), gradient_RO.t(), x_RW);
  if (bias_O_ != nullptr) Rows(bias_O_->gradient).add_(gradient_RO.sum(0));
  if (!needs_input_gradient) return {};
  return at::mm(gradient_RO, Rows(weight_OW_->compute).flatten(1));
}

at::Tensor Linear::Rows(const at::Tensor& all) const {
  return count_ < 0 ? all : all.narrow(0, first_, count_);
}

at::Tensor LayerNorm::Forward(const at::Tensor& x_RW, Saved& saved) const {
  auto [y_RW, mean_R1, rstd_R1] = at::native_layer_norm(
      x_RW, {x_RW.size(-1)}, weight_W->compute, bias_W->compute, kLayerNormEps);
  saved.mean_R1 = std::move(mean_R1);
  saved.rstd_R1 = std::move(rstd_R1);
  return y_RW;
}

at::Tensor LayerNorm::Backward(const at::Tensor& x_RW,
                               const Saved& saved,
                               const at::Tensor& gradient_RW) const {
  auto [gradient_x_RW, gradient_weight_W, gradient_bias_W] =
      at::native_layer_norm_backward(gradient_RW,
                                     x_RW,
                                     {x_RW.size(-1)},
                                     saved.mean_R1,
                                     saved.rstd_R1,
                                     weight_W->compute,
                                     bias_W->compute,
                                     {true, true, true});
  weight_W->gradient.add_(gradient_weight_W);
  bias_W->gradient.add_(gradient_bias_W);
  return gradient_x_RW;
}

at::Tensor Gelu::Forward(const at::Tensor& x_RM) const {
  if (!quick) return at::gelu(x_RM);
  return x_RM * at::sigmoid(x_RM * kQuickGelu);
}

at::Tensor Gelu::Backward(const at::Tensor& x_RM, const at::Tensor& gradient_RM) const {
  if (!quick) return at::gelu_backward(gradient_RM, x_RM);
  const at::Tensor gate_RM = at::sigmoid(x_RM * kQuickGelu);
  return gradient_RM * gate_RM * (x_RM * kQuickGelu * (1 - gate_RM) + 1);
}

at::Tensor Project(const Parameter& weight_WO, const at::Tensor& x_RW) {
  return at::mm(x_RW, weight_WO.compute);
}

at::Tensor ProjectBackward(const Parameter& weight_WO,
                           const at::Tensor& x_RW,
                           const at::Tensor& gradient_RO) {
  AddProduct(weight_WO.gradient, x_RW.t(), gradient_RO);
  return at::mm(gradient_RO, weight_WO.compute.t());
}

Normalized Normalize(const at::Tensor& x_RO) {
  const at::Tensor x32_RO = x_RO.to(at::kFloat);
  Normalized normalized;
  normalized.length_R1 =
      at::linalg_vector_norm(x32_RO, 2, {1}, /*keepdim=*/true).clamp_min(kLeastLength);
  normalized.unit_RO = x32_RO / normalized.length_R1;
  return normalized;
}

at::Tensor NormalizeBackward(const Normalized& normalized, const at::Tensor& gradient_RO) {
  const at::Tensor& unit_RO = normalized.unit_RO;
  const at::Tensor along_R1 = (gradient_RO * unit_RO).sum({1}, /*keepdim=*/true);
  return (gradient_RO - unit_RO * along_R1) / normalized.length_R1;
}

}  // namespace sweep
