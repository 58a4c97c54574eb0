#include "trainer/fused_ops.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace sweep {
namespace {

constexpr int64_t kLeastRowsAThread = 64;

// How many equal parts to cut the work into, one a thread.
int64_t Parts(int64_t size) {
  const int64_t most = std::max<int64_t>(1, size / kLeastRowsAThread);
  return std::min<int64_t>(at::get_num_threads(), most);
}

void ForParts(int64_t size,
              int64_t parts,
              const std::function<void(int64_t part, int64_t begin, int64_t end)>& body) {
  if (parts == 1) {
    body(0, 0, size);
    return;
  }
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part)
      body(part, part * size / parts, (part + 1) * size / parts);
  });
}

// Runs body(begin, end) over the columns [0, width) on all threads, in whole vectors.
void ForColumns(int64_t width, const std::function<void(int64_t, int64_t)>& body) {
  ForParts(width / kLanes, at::get_num_threads(), [&](int64_t, int64_t begin, int64_t end) {
    body(begin * kLanes, end * kLanes);
  });
}

}  // namespace

bool KernelsFit(const at::Tensor& x_RW) {
  const auto type = x_RW.scalar_type();
  return x_RW.is_cpu() && (type == at::kFloat || type == at::kBFloat16) && x_RW.is_contiguous() &&
         x_RW.size(-1) % kLanes == 0;
}

void ForRows(int64_t size, const std::function<void(int64_t, int64_t)>& body) {
  ForParts(size, Parts(size), [&](int64_t, int64_t begin, int64_t end) { body(begin, end); });
}

void ForRowsSumming(int64_t size,
                    const at::Tensor& sums,
                    const std::function<void(int64_t begin, int64_t end, float* partial)>& body) {
  const int64_t parts = Parts(size);
  if (parts == 1 && sums.scalar_type() == at::kFloat && sums.is_contiguous()) {
    body(0, size, sums.mutable_data_ptr<float>());
    return;
  }
  const at::Tensor partials = at::zeros({parts, sums.numel()}, at::kFloat);
  float* const first = partials.mutable_data_ptr<float>();
  ForParts(size, parts, [&](int64_t part, int64_t begin, int64_t end) {
    body(begin, end, first + part * sums.numel());
  });
  sums.add_(partials.sum(0).view(sums.sizes()));
}

void Accumulate(const at::Tensor& sum, const at::Tensor& x) {
  if (!KernelsFit(x) || !KernelsFit(sum)) {
    sum.add_(x);
    return;
  }
  const int64_t width = x.size(-1);
  WithElement(x, [&]<class T>(T) {
    ForRows(x.numel() / width, [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().accumulate(Elements<T>(x), Elements<float>(sum), width, begin, end);
    });
  });
}

at::Tensor Transposed(const at::Tensor& x_RW) {
  if (!KernelsFit(x_RW) || x_RW.scalar_type() != at::kFloat) return x_RW.t().contiguous();
  const int64_t width = x_RW.size(1);
  at::Tensor copy_WR = at::empty({width, x_RW.size(0)}, x_RW.options());
  ForColumns(width, [&](int64_t begin, int64_t end) {
    KernelsForThisCpu<float>().transpose(
        Elements<float>(x_RW), Elements<float>(copy_WR), x_RW.size(0), width, begin, end);
  });
  return copy_WR;
}

void AccumulateTransposed(const at::Tensor& sum_WR, const at::Tensor& x_RW) {
  const bool fits = KernelsFit(x_RW) && x_RW.scalar_type() == at::kFloat && sum_WR.is_contiguous();
  if (!fits) {
    sum_WR.add_(x_RW.t());
    return;
  }
  const int64_t width = x_RW.size(1);
  ForColumns(width, [&](int64_t begin, int64_t end) {
    KernelsForThisCpu<float>().add_transposed(
        Elements<float>(x_RW), Elements<float>(sum_WR), x_RW.size(0), width, begin, end);
  });
}

void AddColumnSums(const at::Tensor& sums_W, const at::Tensor& x_RW) {
  if (!KernelsFit(x_RW)) {
    sums_W.add_(at::sum(x_RW, 0, false, sums_W.scalar_type()).view(sums_W.sizes()));
    return;
  }
  WithElement(x_RW, [&]<class T>(T) {
    ForRowsSumming(x_RW.size(0), sums_W, [&](int64_t begin, int64_t end, float* partial) {
      KernelsForThisCpu<T>().column_sums(Elements<T>(x_RW), partial, x_RW.size(1), begin, end);
    });
  });
}

void AddToRows(const at::Tensor& sums_NW, const at::Tensor& rows_R, const at::Tensor& x_RW) {
  if (!KernelsFit(x_RW) || !KernelsFit(sums_NW)) {
    sums_NW.index_add_(0, rows_R, x_RW.to(sums_NW.scalar_type()));
    return;
  }
  // Threads split the columns, so each sum is made in the order of the rows by one of them.
  const int64_t width = x_RW.size(1);
  const at::Tensor rows = rows_R.contiguous();
  WithElement(x_RW, [&]<class T>(T) {
    ForColumns(width, [&](int64_t begin, int64_t end) {
      KernelsForThisCpu<T>().add_to_rows(Elements<T>(x_RW),
                                         Elements<int64_t>(rows),
                                         Elements<float>(sums_NW),
                                         rows.numel(),
                                         width,
                                         begin,
                                         end);
    });
  });
}

}  // namespace sweep
