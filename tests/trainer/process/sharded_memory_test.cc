// What a process holds, as LibTorch's allocator counts it: bytes now and at their peak.
#include <c10/core/CPUAllocator.h>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>

#include "core/compute.h"
#include "tests/trainer/process/forked_ranks.h"
#include "tests/trainer/process/small_steps.h"
#include "trainer/matrix_product.h"

namespace sweep {
namespace {

// LibTorch's memory, counted.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    constexpr size_t kCacheLine = 64;
    void* const data = std::aligned_alloc(kCacheLine, (size / kCacheLine + 1) * kCacheLine);
    now += static_cast<int64_t>(::malloc_usable_size(data));
    peak = std::max(peak.load(), now.load());
    return {data, data, &Free, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }

  static inline std::atomic<int64_t> now = 0, peak = 0;

 private:
  static void Free(void* data) {
    now -= static_cast<int64_t>(::malloc_usable_size(data));
    std::free(data);
  }
};

// Bytes of rank 0: between steps, and at the peak of one.
struct Bytes {
  double held, peak;
};

// Eight blocks that hold nearly all numbers, and a batch whose activations are little beside them.
RunSpec WideSpec(const std::string& precision) {
  RunSpec spec = SmallSpec();
  spec.model.embed_dim = 64;
  spec.model.vision = {16, 8, 256, 4, 64, 4.0};
  spec.model.text = {10, 24, 256, 4, 4, 4.0};
  spec.global_batch_size = 4;
  spec.precision = precision;
  return spec;
}

Bytes Measure(const std::string& precision, Sharding sharding, int64_t processes) {
  const RunSpec spec = WideSpec(precision);
  const Values bytes =
      InProcesses(processes, [&](Peers* peers) {
        static CountingAllocator counting;
        c10::SetCPUAllocator(&counting, /*priority=*/100);
        Learner learner(
            spec, at::kCPU, {.sharding = sharding, .bucket_bytes = kSmallBuckets}, peers);
        learner.parameters().Initialize(3);
        const DeviceBatch batch = ShareOf(spec, peers);
        (void)learner.Step(batch, 0);
        CountingAllocator::peak = CountingAllocator::now.load();
        const int64_t held = CountingAllocator::now;
        (void)learner.Step(batch, 1);
        return Values{static_cast<double>(held), static_cast<double>(CountingAllocator::peak)};
      }).front();
  return {bytes[0], bytes[1]};
}

double ParametersOf(const RunSpec& spec) {
  return static_cast<double>(CountParameters(spec.model).total());
}

}  // namespace

TEST_CASE("A process holds its share of the optimizer's state, and of weights and gradients",
          "[sharding]") {
  for (const std::string precision : {"fp32", "bf16"}) {
    const double n = ParametersOf(WideSpec(precision));
    const double copies = precision == "bf16" ? 2 : 0;  // bytes a parameter: passes read these
    CHECK(Measure(precision, Sharding::kNone, 1).held == Approx((16 + copies) * n).epsilon(0.01));
    for (const double processes : {2, 4}) {
      INFO(precision << ", " << processes << " processes");
      const auto held = [&](Sharding sharding) {
        return Measure(precision, sharding, static_cast<int64_t>(processes)).held;
      };
      const double moments_and_masters = copies > 0 ? 12 : 8;
      const double passes_need = copies > 0 ? 6 : 8;
      CHECK(held(Sharding::kNone) == Approx((16 + copies) * n).epsilon(0.01));
      CHECK(held(Sharding::kOptimizer) ==
            Approx((passes_need + moments_and_masters / processes) * n).epsilon(0.01));
      CHECK(held(Sharding::kWeights) == Approx(16 / processes * n).epsilon(0.01));
    }
  }
}

TEST_CASE("At the peak of a step sharded weights are whole for few layers at a time",
          "[sharding]") {
  const RunSpec spec = WideSpec("fp32");
  const double width = 256;
  const double layer = 4 * 12 * width * width;  // bytes of a block's weights, or of its gradients
  const MatrixLibrary library = GENERATE(MatrixLibrary::kMkl, MatrixLibrary::kOneDnn);
  const MatrixLibrary before = CpuMatrixLibrary();
  UseMatrixLibrary(library);
  INFO(NameOf(library));
  // MKL adds a weight's gradient to the sum; oneDNN makes it in memory of its own first. The
  // largest weight of a block is a third of it.
  const double product = library == MatrixLibrary::kOneDnn ? layer / 3 : 0;
  const Bytes whole = Measure("fp32", Sharding::kNone, 4);
  const Bytes sharded = Measure("fp32", Sharding::kWeights, 4);
  UseMatrixLibrary(before);
  const double activations = whole.peak - whole.held;
  CHECK(activations - product < 0.5 * layer);
  // This layer's weights, the next's and a copy of them on their way; of gradients this layer's,
  // the last one's, and the other processes' of both.
  CHECK(sharded.peak - sharded.held - activations < 7.1 * layer);
  CHECK(sharded.peak < 0.5 * whole.peak);
}

}  // namespace sweep
