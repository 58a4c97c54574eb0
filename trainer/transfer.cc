#include "trainer/transfer.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sweep {

at::TensorOptions HostMemory(at::Device device, at::ScalarType type) {
  return at::TensorOptions().device(at::kCPU).dtype(type).pinned_memory(device.is_cuda());
}

at::Tensor Send(const at::Tensor& host, at::Device device) {
  return host.to(device, host.scalar_type(), /*non_blocking=*/true);
}

ScalarOnItsWay::ScalarOnItsWay(const at::Tensor& scalar) {
  const at::Device device = scalar.device();
  if (device.is_cpu()) {
    host_ = scalar;
    return;
  }
  host_ = at::empty({}, HostMemory(device, scalar.scalar_type()));
  host_.copy_(scalar, /*non_blocking=*/true);
  arrived_.emplace(device.type());
  // By LibTorch's registry of devices: this program links nothing of CUDA.
  arrived_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

float ScalarOnItsWay::Value() const {
  if (arrived_) arrived_->synchronize();
  return host_.item<float>();
}

}  // namespace sweep
