#include "trainer/cuda/cuda_step_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace sweep {
namespace {

class CudaGraph : public StepGraph {
 public:
  explicit CudaGraph(c10::DeviceIndex gpu) : gpu_(gpu) {}

  // On a stream of its own, as CUDA does not record the default one. Other threads, which load data
  // meanwhile, may take memory and wait for copies. What plain steps have left of the GPU's memory
  // is given back first: a recording takes its own and cannot ask for theirs.
  void Record(const std::function<void()>& work) override {
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    const c10::cuda::CUDAStreamGuard aside(c10::cuda::getStreamFromPool(false, gpu_));
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      End();
      throw;
    }
    graph_.capture_end();
  }

  void Replay() override { graph_.replay(); }

 private:
  // What is recorded so far, for nothing: the allocator would stay with the recording else.
  void End() noexcept {
    try {
      graph_.capture_end();
    } catch (...) {  // of what made `work` fail
    }
  }

  c10::DeviceIndex gpu_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace
}  // namespace sweep

extern "C" __attribute__((visibility("default"))) sweep::StepGraph* SweepNewCudaStepGraph(
    int64_t gpu) {
  return new sweep::CudaGraph(static_cast<c10::DeviceIndex>(gpu));
}
