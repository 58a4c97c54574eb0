#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "trainer/cpu_kernels.h"

namespace sweep {

/// Whether rows like these can go through the CPU kernels: contiguous fp32 or bf16 on a CPU, width
/// a multiple of the vector lanes.
[[nodiscard]] bool KernelsFit(const at::Tensor& x_RW);

/// Calls `body` with a value of the kernels' number type for `tensor`'s dtype: float, or uint16_t
/// for bf16.
template <class Body>
void WithElement(const at::Tensor& tensor, const Body& body) {
  if (tensor.scalar_type() == at::kBFloat16) {
    body(uint16_t{});
  } else {
    body(float{});
  }
}

/// The tensor's values as kernels take them; null when undefined.
template <class T>
[[nodiscard]] T* Elements(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.mutable_data_ptr()) : nullptr;
}

/// Runs body(begin, end) over [0, size) on all threads.
void ForRows(int64_t size, const std::function<void(int64_t, int64_t)>& body);

/// The same for bodies that also sum over rows: each thread adds into `width` floats of its own,
/// which end up added to `sums`, always in the same order.
void ForRowsSumming(int64_t size,
                    const at::Tensor& sums,
                    const std::function<void(int64_t begin, int64_t end, float* partial)>& body);

/// sum += x, for a sum in fp32 and an x of the same shape in any type.
void Accumulate(const at::Tensor& sum, const at::Tensor& x);

/// x_RW', contiguous, copied on all threads where LibTorch would copy on one. For oneDNN's products
/// in fp32; LibTorch's own take transposed factors.
[[nodiscard]] at::Tensor Transposed(const at::Tensor& x_RW);

/// sum_WR += x_RW', for a sum in fp32.
void AccumulateTransposed(const at::Tensor& sum_WR, const at::Tensor& x_RW);

/// sums_W += the column sums of x_RW; sums are fp32 and contiguous, of any shape of W elements.
void AddColumnSums(const at::Tensor& sums_W, const at::Tensor& x_RW);

/// sums_NW[rows_R[r]] += x_RW[r] for each r in turn: what an embedding's table gets from its
/// backward pass, without a table of zeros in between. The same on any number of threads.
void AddToRows(const at::Tensor& sums_NW, const at::Tensor& rows_R, const at::Tensor& x_RW);

}  // namespace sweep
