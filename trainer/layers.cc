#include "trainer/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "trainer/fused_ops.h"
#include "trainer/matrix_product.h"

namespace sweep {
namespace {

constexpr double kLayerNormEps = 1e-5;
constexpr double kLeastLength = 1e-12;
constexpr double kQuickGelu = 1.702;

}  // namespace

Linear Linear::Slice(int64_t first, int64_t outputs) const {
  Linear slice = *this;
  slice.first_ = first;
  slice.count_ = outputs;
  return slice;
}

at::Tensor Linear::Rows(const at::Tensor& all) const {
  return count_ < 0 ? all : all.narrow(0, first_, count_);
}

at::Tensor Linear::Product(const at::Tensor& x_RW) const {
  return LinearProduct(x_RW, Rows(weight_OW_->compute).flatten(1));
}

at::Tensor Linear::Forward(const at::Tensor& x_RW) const {
  if (bias_O_ == nullptr) return Product(x_RW);
  return LinearProduct(x_RW, Rows(weight_OW_->compute).flatten(1), bias());
}

at::Tensor Linear::ForwardOnto(const at::Tensor& residual_RO, const at::Tensor& x_RW) const {
  at::Tensor y_RO = Product(x_RW);
  if (!KernelsFit(y_RO) || !KernelsFit(residual_RO)) return y_RO.add_(bias()).add_(residual_RO);
  WithElement(y_RO, [&]<class T>(T) {
    ForRows(y_RO.size(0), [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().bias_residual(Elements<T>(y_RO),
                                           Elements<T>(bias()),
                                           Elements<T>(residual_RO),
                                           y_RO.size(1),
                                           begin,
                                           end);
    });
  });
  return y_RO;
}

at::Tensor Linear::ProductBackward(const at::Tensor& x_RW,
                                   const at::Tensor& gradient_RO,
                                   bool needs_input_gradient) const {
  AddLinearWeightGradient(Rows(weight_OW_->gradient).flatten(1), gradient_RO, x_RW);
  if (!needs_input_gradient) return {};
  return LinearInputGradient(gradient_RO, Rows(weight_OW_->compute).flatten(1));
}

at::Tensor Linear::Backward(const at::Tensor& x_RW,
                            const at::Tensor& gradient_RO,
                            bool needs_input_gradient) const {
  if (bias_O_ != nullptr) AddColumnSums(bias_gradient(), gradient_RO);
  return ProductBackward(x_RW, gradient_RO, needs_input_gradient);
}

at::Tensor GeluLinear::Forward(const at::Tensor& x_RW, at::Tensor& hidden_RM) const {
  hidden_RM = linear_.Product(x_RW);
  return AddBiasAndActivate(hidden_RM, linear_.bias());
}

at::Tensor GeluLinear::Activate(const at::Tensor& hidden_RM) const {
  return AddBiasAndActivate(hidden_RM, {});
}

at::Tensor GeluLinear::AddBiasAndActivate(const at::Tensor& hidden_RM,
                                          const at::Tensor& bias_M) const {
  if (quick_ || !KernelsFit(hidden_RM)) {
    if (bias_M.defined()) hidden_RM.add_(bias_M);
    return quick_ ? hidden_RM * at::sigmoid(hidden_RM * kQuickGelu) : at::gelu(hidden_RM);
  }
  at::Tensor activated_RM = at::empty_like(hidden_RM);
  WithElement(hidden_RM, [&]<class T>(T) {
    ForRows(hidden_RM.size(0), [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().bias_gelu(Elements<T>(hidden_RM),
                                       Elements<T>(bias_M),
                                       Elements<T>(activated_RM),
                                       hidden_RM.size(1),
                                       begin,
                                       end);
    });
  });
  return activated_RM;
}

at::Tensor GeluLinear::Backward(const at::Tensor& x_RW,
                                const at::Tensor& hidden_RM,
                                at::Tensor gradient_RM) const {
  if (quick_) {
    const at::Tensor gate_RM = at::sigmoid(hidden_RM * kQuickGelu);
    return linear_.Backward(x_RW,
                            gradient_RM * gate_RM * (hidden_RM * kQuickGelu * (1 - gate_RM) + 1));
  }
  if (!KernelsFit(hidden_RM) || !KernelsFit(gradient_RM))
    return linear_.Backward(x_RW, at::gelu_backward(gradient_RM, hidden_RM));
  WithElement(hidden_RM, [&]<class T>(T) {
    ForRowsSumming(hidden_RM.size(0),
                   linear_.bias_gradient(),
                   [&](int64_t begin, int64_t end, float* partial) {
                     KernelsForThisCpu<T>().gelu_backward(Elements<T>(hidden_RM),
                                                          Elements<T>(gradient_RM),
                                                          partial,
                                                          hidden_RM.size(1),
                                                          begin,
                                                          end);
                   });
  });
  return linear_.ProductBackward(x_RW, gradient_RM);
}

at::Tensor LayerNorm::Forward(const at::Tensor& x_RW, Saved& saved) const {
  if (!KernelsFit(x_RW)) {
    auto [y_RW, mean, rstd] = at::native_layer_norm(
        x_RW, {x_RW.size(-1)}, weight_W->compute, bias_W->compute, kLayerNormEps);
    saved = {std::move(mean), std::move(rstd)};
    return y_RW;
  }
  const int64_t rows = x_RW.size(0);
  at::Tensor y_RW = at::empty_like(x_RW);
  saved = {at::empty({rows}, at::kFloat), at::empty({rows}, at::kFloat)};
  WithElement(x_RW, [&]<class T>(T) {
    ForRows(rows, [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().layer_norm(Elements<T>(x_RW),
                                        Elements<float>(weight_W->compute),
                                        Elements<float>(bias_W->compute),
                                        static_cast<float>(kLayerNormEps),
                                        Elements<T>(y_RW),
                                        Elements<float>(saved.mean_R),
                                        Elements<float>(saved.rstd_R),
                                        x_RW.size(1),
                                        begin,
                                        end);
    });
  });
  return y_RW;
}

at::Tensor LayerNorm::Backward(const at::Tensor& x_RW,
                               const Saved& saved,
                               const at::Tensor& gradient_RW,
                               const at::Tensor& residual_RW) const {
  if (!KernelsFit(x_RW)) {
    auto [gradient_x_RW, gradient_weight_W, gradient_bias_W] =
        at::native_layer_norm_backward(gradient_RW,
                                       x_RW,
                                       {x_RW.size(-1)},
                                       saved.mean_R,
                                       saved.rstd_R,
                                       weight_W->compute,
                                       bias_W->compute,
                                       {true, true, true});
    weight_W->gradient.add_(gradient_weight_W);
    bias_W->gradient.add_(gradient_bias_W);
    return residual_RW.defined() ? gradient_x_RW.add_(residual_RW) : gradient_x_RW;
  }
  const int64_t width = x_RW.size(1);
  const at::Tensor g_RW = gradient_RW.contiguous();
  const at::Tensor r_RW = residual_RW.defined() ? residual_RW.contiguous() : residual_RW;
  at::Tensor gradient_x_RW = at::empty_like(x_RW);
  const at::Tensor sums = at::zeros({2, width}, at::kFloat);
  WithElement(x_RW, [&]<class T>(T) {
    ForRowsSumming(x_RW.size(0), sums, [&](int64_t begin, int64_t end, float* partial) {
      KernelsForThisCpu<T>().layer_norm_backward(Elements<T>(x_RW),
                                                 Elements<float>(weight_W->compute),
                                                 Elements<float>(saved.mean_R),
                                                 Elements<float>(saved.rstd_R),
                                                 Elements<T>(g_RW),
                                                 Elements<T>(r_RW),
                                                 Elements<T>(gradient_x_RW),
                                                 partial,
                                                 partial + width,
                                                 width,
                                                 begin,
                                                 end);
    });
  });
  weight_W->gradient.add_(sums.select(0, 0));
  bias_W->gradient.add_(sums.select(0, 1));
  return gradient_x_RW;
}

at::Tensor LayerScale::ForwardOnto(const at::Tensor& residual_RW, const at::Tensor& x_RW) const {
  return at::addcmul(residual_RW, x_RW, gamma_W->compute);
}

at::Tensor LayerScale::Backward(const at::Tensor& x_RW, const at::Tensor& gradient_RW) const {
  AddColumnSums(gamma_W->gradient, x_RW * gradient_RW);
  return gradient_RW * gamma_W->compute;
}

at::Tensor Project(const Parameter& weight_WO, const at::Tensor& x_RW) {
  return LinearInputGradient(x_RW, weight_WO.compute);
}

at::Tensor ProjectBackward(const Parameter& weight_WO,
                           const at::Tensor& x_RW,
                           const at::Tensor& gradient_RO) {
  AddLinearWeightGradient(weight_WO.gradient, x_RW, gradient_RO);
  return LinearProduct(gradient_RO, weight_WO.compute);
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
