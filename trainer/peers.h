#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

/// The processes that train one model together, each on its share of every batch. All of them make
/// the same calls in the same order.
class Peers {
 public:
  virtual ~Peers() = default;

  [[nodiscard]] virtual int64_t rank() const = 0;  ///< of this process, from 0
  [[nodiscard]] virtual int64_t size() const = 0;

  /// Every process's tensor, all of one shape, one after the other along the first dimension.
  [[nodiscard]] virtual at::Tensor Gather(const at::Tensor& mine) = 0;
  /// Replaces the tensor by its sum over all processes.
  virtual void Sum(const at::Tensor& tensor) = 0;
};

}  // namespace sweep
