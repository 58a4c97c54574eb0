#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace sweep {

/// The three matrix products of a linear layer y_RO = x_RW @ weight_OW' + bias_O. R rows (batch x
/// tokens), W inputs, O outputs; all have the number type that a run computes in.
///
/// y_RO. `bias_O` may be undefined.
[[nodiscard]] at::Tensor LinearProduct(const at::Tensor& x_RW,
                                       const at::Tensor& weight_OW,
                                       const at::Tensor& bias_O = {});

/// y's gradient to x's.
[[nodiscard]] at::Tensor LinearInputGradient(const at::Tensor& gradient_RO,
                                             const at::Tensor& weight_OW);

/// Adds the weight's gradient to `sum_OW`, which is fp32 whatever the type of the others is.
void AddLinearWeightGradient(const at::Tensor& sum_OW,
                             const at::Tensor& gradient_RO,
                             const at::Tensor& x_RW);

/// Whose fp32 products a CPU makes. LibTorch's own choice is MKL, which on CPUs of other makers
/// than Intel takes a slow path (AVX2 at two thirds of its speed); there oneDNN's are 1.5 times as
/// fast. In other precisions LibTorch takes oneDNN itself.
enum class MatrixLibrary { kMkl, kOneDnn };

/// The one in use: what the environment variable SWEEP_MATRIX_LIBRARY says (`mkl` or `onednn`),
/// else MKL on Intel's CPUs and oneDNN on others. Throws Failure(kUsage) for another word.
[[nodiscard]] MatrixLibrary CpuMatrixLibrary();

/// Takes another one from now on: for comparisons.
void UseMatrixLibrary(MatrixLibrary library);

/// `mkl` or `onednn`.
[[nodiscard]] std::string NameOf(MatrixLibrary library);

}  // namespace sweep
