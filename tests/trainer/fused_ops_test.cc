// Sums in fp32 over rows of any type, against LibTorch's own in fp32.
#include "trainer/fused_ops.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>

#include "tests/trainer/golden.h"

namespace sweep {
namespace {

constexpr int64_t kRows = 300;

// The kernels take widths of 48; 24 goes through LibTorch.
void ForTypesAndWidths(const std::function<void(const at::Tensor& x_RW)>& body) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t width : {48, 24}) body(at::randn({kRows, width}).to(type));
  }
}

}  // namespace

TEST_CASE("What an embedding's rows get is summed in fp32, on any number of threads") {
  ForTypesAndWidths([](const at::Tensor& x_RW) {
    const at::Tensor rows_R = at::randint(7, {kRows}, at::kLong);
    const at::Tensor start = at::randn({7, x_RW.size(1)});
    const at::Tensor expected = start.index_add(0, rows_R, x_RW.to(at::kFloat));
    for (const int threads : {1, 2, 5}) {
      at::set_num_threads(threads);
      const at::Tensor sums = start.clone();
      AddToRows(sums, rows_R, x_RW);
      CHECK(MaxDifference(sums, expected) < 1e-5);
    }
    at::set_num_threads(1);
  });
}

TEST_CASE("Products and column sums are added to fp32 sums without rounding to bf16") {
  ForTypesAndWidths([](const at::Tensor& x_RW) {
    const at::Tensor x32_RW = x_RW.to(at::kFloat);
    const at::Tensor sum = at::randn(x_RW.sizes());
    const at::Tensor expected = sum + x32_RW;
    Accumulate(sum, x_RW);
    CHECK(MaxDifference(sum, expected) == 0);
    const at::Tensor columns_W = at::zeros({x_RW.size(1)});
    AddColumnSums(columns_W, x_RW);
    CHECK(MaxDifference(columns_W, x32_RW.sum(0)) < 1e-4);
  });
}

}  // namespace sweep
