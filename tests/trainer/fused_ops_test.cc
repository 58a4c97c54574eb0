// Sums in fp32 over rows of any type, against LibTorch's own in fp32.
#include "trainer/fused_ops.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

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

class Threads {
 public:
  explicit Threads(int threads) { at::set_num_threads(threads); }
  ~Threads() { at::set_num_threads(1); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
};

}  // namespace

// Compiled without OpenMP, at::parallel_for runs everything in the thread that calls it, and
// nothing but the time says so.
TEST_CASE("Rows are shared out among the threads") {
  const Threads two(2);
  std::mutex mutex;
  std::map<std::thread::id, int64_t> rows;
  ForRows(kRows, [&](int64_t begin, int64_t end) {
    const std::scoped_lock lock(mutex);
    rows[std::this_thread::get_id()] += end - begin;
  });
  REQUIRE(rows.size() == 2);
  for (const auto& [thread, count] : rows) CHECK(count == kRows / 2);
}

TEST_CASE("A transposed copy and a transposed sum are exact, for any number of rows and threads") {
  for (const int threads : {1, 2, 5}) {
    const Threads some(threads);
    for (const int64_t row_count : {1, 3, 4, 63, 300}) {
      ForTypesAndWidths([row_count](const at::Tensor& all_RW) {
        const at::Tensor x_RW = all_RW.narrow(0, 0, row_count);
        const at::Tensor copy_WR = Transposed(x_RW);
        CHECK(copy_WR.is_contiguous());
        CHECK(at::equal(copy_WR, x_RW.t()));
        const at::Tensor sum_WR = at::randn({x_RW.size(1), row_count});
        const at::Tensor expected_WR = sum_WR + x_RW.t().to(at::kFloat);
        AccumulateTransposed(sum_WR, x_RW);
        CHECK(at::equal(sum_WR, expected_WR));
      });
    }
  }
}

TEST_CASE("What an embedding's rows get is summed in fp32, on any number of threads") {
  ForTypesAndWidths([](const at::Tensor& x_RW) {
    const at::Tensor rows_R = at::randint(7, {kRows}, at::kLong);
    const at::Tensor start = at::randn({7, x_RW.size(1)});
    const at::Tensor expected = start.index_add(0, rows_R, x_RW.to(at::kFloat));
    for (const int threads : {1, 2, 5}) {
      const Threads some(threads);
      const at::Tensor sums = start.clone();
      AddToRows(sums, rows_R, x_RW);
      CHECK(MaxDifference(sums, expected) < 1e-5);
    }
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
