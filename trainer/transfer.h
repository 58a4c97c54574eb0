#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <optional>

namespace sweep {

/// Options of a tensor in the host's memory that is to go to `device`: pinned where that is a GPU,
/// because copies from other memory wait for all that the GPU has to do.
[[nodiscard]] at::TensorOptions HostMemory(at::Device device, at::ScalarType type);

/// A copy on `device`; on a CPU `host` itself. From pinned memory the copy is only queued; `host`
/// may be dropped at once (LibTorch gives pinned memory out again when the copies from it are
/// done), but not written to.
[[nodiscard]] at::Tensor Send(const at::Tensor& host, at::Device device);

/// Copies to a device beside what it computes: on a GPU on a stream of their own.
class SideTransfer {
 public:
  explicit SideTransfer(at::Device device);

  /// Queues a copy of pinned memory, which starts at once; on a CPU `host` itself. Nothing may use
  /// it before Join.
  [[nodiscard]] at::Tensor Send(const at::Tensor& host);

  /// What is launched from here on waits for the copies so far.
  void Join();

 private:
  at::Device device_;
  std::optional<c10::Stream> stream_;  // none on a CPU
  std::optional<c10::Event> copied_;
};

/// A scalar on its way to the host. Waiting for it does not wait for what was launched after it.
class ScalarOnItsWay {
 public:
  /// To be made right after what computes `scalar` was launched.
  explicit ScalarOnItsWay(const at::Tensor& scalar);

  /// Waits for it.
  [[nodiscard]] float Value() const;

 private:
  at::Tensor host_;
  std::optional<c10::Event> arrived_;
};

}  // namespace sweep
