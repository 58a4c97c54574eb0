#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

/// The three matrix products of a linear layer y_RO = x_RW @ weight_OW'. R rows (batch x tokens),
/// W inputs, O outputs; x, weight and the gradients of x and y have the number type that a run
/// computes in.
///
/// y_RO.
[[nodiscard]] at::Tensor LinearProduct(const at::Tensor& x_RW, const at::Tensor& weight_OW);

/// y's gradient to x's.
[[nodiscard]] at::Tensor LinearInputGradient(const at::Tensor& gradient_RO,
                                             const at::Tensor& weight_OW);

/// Adds the weight's gradient to `sum_OW`, which is fp32 whatever the type of the others is.
void AddLinearWeightGradient(const at::Tensor& sum_OW,
                             const at::Tensor& gradient_RO,
                             const at::Tensor& x_RW);

}  // namespace sweep
