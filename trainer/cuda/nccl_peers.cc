#include "trainer/cuda/nccl_peers.h"

#include <ATen/ops/empty.h>

#include <chrono>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <vector>

namespace sweep {
namespace {

// Waiting makes the GPU's stream wait, not this thread: what is launched afterwards comes after the
// collective.
class NcclPending : public Pending {
 public:
  explicit NcclPending(c10::intrusive_ptr<c10d::Work> work) : work_(std::move(work)) {}
  void Wait() override { work_->wait(); }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
};

class NcclPeers : public Peers {
 public:
  NcclPeers(const char* meeting, int64_t rank, int64_t size)
      : rank_(rank),
        size_(size),
        group_(c10::make_intrusive<c10d::ProcessGroupNCCL>(
            c10::make_intrusive<c10d::FileStore>(meeting, static_cast<int>(size)),
            static_cast<int>(rank),
            static_cast<int>(size))) {}

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  double wait_seconds() const override { return 0; }  // the GPU's, which it does not tell

  at::Tensor AllGather(const at::Tensor& mine) override {
    std::vector<int64_t> shape = mine.sizes().vec();
    shape[0] *= size_;
    at::Tensor all = at::empty(shape, mine.options());
    StartAllGather(mine.contiguous(), all)->Wait();
    return all;
  }

  std::unique_ptr<Pending> StartAllReduce(const at::Tensor& tensor) override {
    std::vector<at::Tensor> tensors{tensor};
    return Start(group_->allreduce(tensors));
  }

  // In place where a part is its own place in the whole, as NCCL allows for both.
  std::unique_ptr<Pending> StartReduceScatter(const at::Tensor& whole,
                                              const at::Tensor& part) override {
    at::Tensor from = whole;
    at::Tensor to = part;
    return Start(group_->_reduce_scatter_base(to, from));
  }

  std::unique_ptr<Pending> StartAllGather(const at::Tensor& part,
                                          const at::Tensor& whole) override {
    at::Tensor from = part;
    at::Tensor to = whole;
    return Start(group_->_allgather_base(to, from));
  }

 private:
  static std::unique_ptr<Pending> Start(c10::intrusive_ptr<c10d::Work> work) {
    return std::make_unique<NcclPending>(std::move(work));
  }

  int64_t rank_, size_;
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> group_;
};

}  // namespace
}  // namespace sweep

extern "C" __attribute__((visibility("default"))) sweep::Peers* SweepNcclPeersAt(
    const char* meeting, int64_t rank, int64_t size) {
  return new sweep::NcclPeers(meeting, rank, size);
}
