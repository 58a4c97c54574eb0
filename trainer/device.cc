#include "trainer/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <malloc.h>

#include <array>
#include <string_view>

#include "core/failure.h"

namespace sweep {
namespace {

bool LoadCuda() {
  return ::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr &&
         at::globalContext().hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
}

// Asks the driver itself: this program links nothing of CUDA.
std::string CudaDeviceName(int index) {
  void* driver = ::dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr) return "";
  using NameFunction = int (*)(char*, int, int);
  const auto get_name = reinterpret_cast<NameFunction>(::dlsym(driver, "cuDeviceGetName"));
  std::array<char, 256> name{};
  if (get_name == nullptr || get_name(name.data(), static_cast<int>(name.size()), index) != 0)
    return "";
  return name.data();
}

}  // namespace

c10::Device ChooseDevice(const std::string& name, int64_t local_rank) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  if (name != "auto" && name != "cuda") {
    throw Failure(FailureCode::kUsage,
                  fmt::format("attempt.json: device is '{}', expected auto, cpu or cuda", name));
  }
  if (LoadCuda()) {
    const auto gpu = local_rank % at::detail::getCUDAHooks().deviceCount();
    return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(gpu));
  }
  if (name == "auto") return c10::Device(c10::kCPU);
  throw Failure(FailureCode::kUsage,
                "attempt.json: device is 'cuda', but there is no CUDA device or LibTorch's CUDA "
                "libraries cannot be loaded");
}

std::optional<double> PeakFlops(c10::Device device, const std::string& precision) {
  if (!device.is_cuda() || precision != "bf16") return std::nullopt;
  const std::string name = CudaDeviceName(device.has_index() ? device.index() : 0);
  // NVIDIA's data sheets, bf16 dense.
  if (name.find("H100") != std::string::npos || name.find("H200") != std::string::npos)
    return 989e12;
  if (name.find("A100") != std::string::npos) return 312e12;
  return std::nullopt;
}

void SetThreads(int64_t threads) {
  at::set_num_threads(static_cast<int>(threads));
}

void KeepFreedMemory() {
  constexpr int kBlock = 1 << 30;
  ::mallopt(M_MMAP_THRESHOLD, kBlock);
  ::mallopt(M_TRIM_THRESHOLD, kBlock);
  ::mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace sweep
