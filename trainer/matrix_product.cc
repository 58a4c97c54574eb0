#include "trainer/matrix_product.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <string_view>

#include "core/failure.h"
#include "trainer/fused_ops.h"

namespace sweep {
namespace {

constexpr const char* kVariable = "SWEEP_MATRIX_LIBRARY";

MatrixLibrary ChooseLibrary() {
  const char* const wanted = std::getenv(kVariable);
  if (wanted == nullptr)
    return __builtin_cpu_is("intel") ? MatrixLibrary::kMkl : MatrixLibrary::kOneDnn;
  for (const MatrixLibrary library : {MatrixLibrary::kMkl, MatrixLibrary::kOneDnn}) {
    if (NameOf(library) == wanted) return library;
  }
  throw Failure(FailureCode::kUsage,
                fmt::format("{} is '{}', expected mkl or onednn", kVariable, wanted));
}

MatrixLibrary& LibraryInUse() {
  static MatrixLibrary library = ChooseLibrary();
  return library;
}

bool ThroughOneDnn(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && LibraryInUse() == MatrixLibrary::kOneDnn;
}

// a_RW @ b_OW' + bias_O. `b` may be a transposed view; `a` would be copied, by one thread, if it
// were one. LibTorch offers this to its compiler alone, so it has no function of its own in C++.
at::Tensor OneDnnLinear(const at::Tensor& a_RW,
                        const at::Tensor& b_OW,
                        const at::Tensor& bias_O = {}) {
  using Linear = at::Tensor(const at::Tensor&,
                            const at::Tensor&,
                            const std::optional<at::Tensor>&,
                            std::string_view,
                            c10::List<std::optional<at::Scalar>>,
                            std::optional<std::string_view>);
  static const auto linear = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                                 .typed<Linear>();
  const std::optional<at::Tensor> bias =
      bias_O.defined() ? std::optional<at::Tensor>(bias_O) : std::nullopt;
  return linear.call(a_RW, b_OW, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace

at::Tensor LinearProduct(const at::Tensor& x_RW,
                         const at::Tensor& weight_OW,
                         const at::Tensor& bias_O) {
  if (ThroughOneDnn(x_RW)) return OneDnnLinear(x_RW, weight_OW, bias_O);
  return bias_O.defined() ? at::linear(x_RW, weight_OW, bias_O) : at::mm(x_RW, weight_OW.t());
}

at::Tensor LinearInputGradient(const at::Tensor& gradient_RO, const at::Tensor& weight_OW) {
  if (ThroughOneDnn(gradient_RO)) return OneDnnLinear(gradient_RO, weight_OW.t());
  return at::mm(gradient_RO, weight_OW);
}

void AddLinearWeightGradient(const at::Tensor& sum_OW,
                             const at::Tensor& gradient_RO,
                             const at::Tensor& x_RW) {
  const at::Tensor gradient_OR = gradient_RO.t();
  if (ThroughOneDnn(x_RW)) {
    // The first factor is copied: better the smaller one.
    if (gradient_RO.size(1) <= x_RW.size(1)) {
      Accumulate(sum_OW, OneDnnLinear(Transposed(gradient_RO), x_RW.t()));
    } else {
      AccumulateTransposed(sum_OW, OneDnnLinear(Transposed(x_RW), gradient_OR));
    }
  } else if (x_RW.scalar_type() == sum_OW.scalar_type()) {
    at::Tensor sum = sum_OW;
    at::addmm_out(sum, sum_OW, gradient_OR, x_RW);
  } else if (x_RW.is_cuda()) {
    sum_OW.add_(at::mm(gradient_OR, x_RW, at::kFloat));
  } else {
    Accumulate(sum_OW, at::mm(gradient_OR, x_RW));
  }
}

MatrixLibrary CpuMatrixLibrary() {
  return LibraryInUse();
}

void UseMatrixLibrary(MatrixLibrary library) {
  LibraryInUse() = library;
}

std::string NameOf(MatrixLibrary library) {
  return library == MatrixLibrary::kMkl ? "mkl" : "onednn";
}

}  // namespace sweep
