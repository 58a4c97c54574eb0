#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace sweep {

/// A collective under way. Its tensors are not to be touched before Wait has returned.
class Pending {
 public:
  virtual ~Pending() = default;
  /// Throws c10::Error when another process died or is silent for too long.
  virtual void Wait() = 0;
};

/// The processes that train one model together, each on its share of every batch. All of them make
/// the same calls in the same order.
class Peers {
 public:
  virtual ~Peers() = default;

  [[nodiscard]] virtual int64_t rank() const = 0;  ///< of this process, from 0
  [[nodiscard]] virtual int64_t size() const = 0;

  /// Every process's tensor, all of one shape, one after the other along the first dimension.
  [[nodiscard]] virtual at::Tensor AllGather(const at::Tensor& mine) = 0;
  /// Replaces the tensor by its sum over all processes.
  void AllReduce(const at::Tensor& tensor) { StartAllReduce(tensor)->Wait(); }

  /// The same, to be waited for.
  [[nodiscard]] virtual std::unique_ptr<Pending> StartAllReduce(const at::Tensor& tensor) = 0;
  /// Of the sum of all processes' `whole`, cut into size() equal parts, puts the one numbered
  /// rank() into `part`, which may be that part of `whole`.
  [[nodiscard]] virtual std::unique_ptr<Pending> StartReduceScatter(const at::Tensor& whole,
                                                                    const at::Tensor& part) = 0;
  /// Puts all processes' `part` one after the other into `whole`; `part` may be its own place
  /// there.
  [[nodiscard]] virtual std::unique_ptr<Pending> StartAllGather(const at::Tensor& part,
                                                                const at::Tensor& whole) = 0;

  /// Spent so far in waiting for collectives.
  [[nodiscard]] virtual double wait_seconds() const = 0;
};

}  // namespace sweep
