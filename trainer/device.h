#pragma once

#include <c10/core/Device.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace sweep {

/// The device to train on: `cpu`; `cuda`, which must be there; or `auto`, CUDA where there is one.
/// LibTorch's CUDA part is loaded only when asked for, so a CPU machine needs none of its
/// libraries. Throws Failure(kUsage) when `cuda` is asked for and cannot be had, or for another
/// name.
/// Of several GPUs, process `local_rank` of a machine takes the one of its number.
[[nodiscard]] c10::Device ChooseDevice(const std::string& name, int64_t local_rank = 0);

/// What tells a GPU from every other (its UUID), whatever number it has in this process; zeros
/// where its driver does not say.
[[nodiscard]] std::array<int64_t, 2> GpuIdentity(c10::Device gpu);

/// Dense matrix rate of the device in FLOP/s for `precision`, by its maker's data sheet; nullopt
/// where it is not known.
[[nodiscard]] std::optional<double> PeakFlops(c10::Device device, const std::string& precision);

/// Prepares this process for `precision` on `device`: `tf32` lets matrix products of fp32 round
/// their factors to TensorFloat-32, every other one forbids it again. Throws Failure(kUsage) for
/// tf32 on a CPU, which has none.
void SetPrecision(c10::Device device, const std::string& precision);

/// Sets how many threads one operation uses on a CPU.
void SetThreads(int64_t threads);

/// Keeps freed memory in the process: returning large blocks to the kernel after every step and
/// faulting them in again costs a third of a small model's step. To be called first in main.
void KeepFreedMemory();

/// From now on this thread, and those it starts, take numbers below the smallest normal one for 0.
/// A first moment without gradients (a word's that no longer comes) shrinks by beta1 a step until
/// it is one and, as rounding then undoes the shrinking, stays one; AdamW on such numbers takes a
/// CPU 25 times as long (docs/trainer.md). To be called in main before there are other threads.
void FlushSubnormals();

}  // namespace sweep
