#include "trainer/cpu_kernels.h"

namespace sweep {

#define SWEEP_DECLARE_KERNELS(name)              \
  namespace name {                               \
  const CpuKernels<float>& FloatKernels();       \
  const CpuKernels<uint16_t>& Bfloat16Kernels(); \
  }
SWEEP_DECLARE_KERNELS(kernels_v2)
SWEEP_DECLARE_KERNELS(kernels_v3)
SWEEP_DECLARE_KERNELS(kernels_v4)

namespace {

// Levels of the x86-64 psABI: 2 SSE4, 3 AVX2 and FMA, 4 AVX-512.
int CpuLevel() {
  if (__builtin_cpu_supports("x86-64-v4")) return 4;
  if (__builtin_cpu_supports("x86-64-v3")) return 3;
  return 2;
}

}  // namespace

template <>
const CpuKernels<float>& KernelsForThisCpu<float>() {
  static const int level = CpuLevel();
  if (level == 4) return kernels_v4::FloatKernels();
  return level == 3 ? kernels_v3::FloatKernels() : kernels_v2::FloatKernels();
}

template <>
const CpuKernels<uint16_t>& KernelsForThisCpu<uint16_t>() {
  static const int level = CpuLevel();
  if (level == 4) return kernels_v4::Bfloat16Kernels();
  return level == 3 ? kernels_v3::Bfloat16Kernels() : kernels_v2::Bfloat16Kernels();
}

}  // namespace sweep
