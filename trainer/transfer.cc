#include "trainer/transfer.h"

#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sweep {
namespace {

// By LibTorch's registry of devices: this program links nothing of CUDA.
c10::Stream CurrentStream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

}  // namespace

at::TensorOptions HostMemory(at::Device device, at::ScalarType type) {
  return at::TensorOptions().device(at::kCPU).dtype(type).pinned_memory(device.is_cuda());
}

at::Tensor Send(const at::Tensor& host, at::Device device) {
  return host.to(device, host.scalar_type(), /*non_blocking=*/true);
}

SideTransfer::SideTransfer(at::Device device) : device_(device) {
  if (device.is_cpu()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  copied_.emplace(device.type());
}

at::Tensor SideTransfer::Send(const at::Tensor& host) {
  if (!stream_) return host;
  const c10::Stream computing = CurrentStream(device_);
  at::Tensor there;
  {
    const c10::StreamGuard aside(*stream_);
    there = sweep::Send(host, device_);
    copied_->record(*stream_);
  }
  there.record_stream(computing);  // its memory belongs to the stream aside
  return there;
}

void SideTransfer::Join() {
  if (copied_) copied_->block(CurrentStream(device_));
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
  arrived_->record(CurrentStream(device));
}

float ScalarOnItsWay::Value() const {
  if (arrived_) arrived_->synchronize();
  return host_.item<float>();
}

}  // namespace sweep
