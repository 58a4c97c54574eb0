#include "trainer/matrix_product.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include "trainer/fused_ops.h"

namespace sweep {

at::Tensor LinearProduct(const at::Tensor& x_RW, const at::Tensor& weight_OW) {
  return at::mm(x_RW, weight_OW.t());
}

at::Tensor LinearInputGradient(const at::Tensor& gradient_RO, const at::Tensor& weight_OW) {
  return at::mm(gradient_RO, weight_OW);
}

void AddLinearWeightGradient(const at::Tensor& sum_OW,
                             const at::Tensor& gradient_RO,
                             const at::Tensor& x_RW) {
  const at::Tensor gradient_OR = gradient_RO.t();
  if (x_RW.scalar_type() == sum_OW.scalar_type()) {
    at::Tensor sum = sum_OW;
    at::addmm_out(sum, sum_OW, gradient_OR, x_RW);
  } else if (x_RW.is_cuda()) {
    sum_OW.add_(at::mm(gradient_OR, x_RW, at::kFloat));
  } else {
    Accumulate(sum_OW, at::mm(gradient_OR, x_RW));
  }
}

}  // namespace sweep
