#include "trainer/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <malloc.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "core/failure.h"

namespace sweep {
namespace {

int64_t GpuCount() {
  return at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

bool LoadCuda() {
  return ::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr && GpuCount() > 0;
}

// Of the driver itself, which is asked because this program links nothing of CUDA; null without it.
template <class Function>
Function DriverFunction(const char* name) {
  void* const driver = ::dlopen("libcuda.so.1", RTLD_NOW);
  return driver == nullptr ? nullptr : reinterpret_cast<Function>(::dlsym(driver, name));
}

std::string CudaDeviceName(int index) {
  using NameFunction = int (*)(char*, int, int);
  const auto get_name = DriverFunction<NameFunction>("cuDeviceGetName");
  std::array<char, 256> name{};
  if (get_name == nullptr || get_name(name.data(), static_cast<int>(name.size()), index) != 0)
    return "";
  return name.data();
}

// LibTorch takes memory by posix_memalign, and glibc never puts a block that comes so into a hole
// of its own size: it first looks for one larger by the alignment (glibc 2.36), so activations
// leave holes beside holes. Blocks of malloc fit their holes; they are aligned here, and where each
// begins is kept in front of it.
class AlignedMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    const c10::Device cpu(c10::kCPU);
    if (size == 0) return {nullptr, cpu};
    void* const block = std::malloc(size + kCacheLine);
    if (block == nullptr) throw std::bad_alloc();
    const auto offset = kCacheLine - reinterpret_cast<uintptr_t>(block) % kCacheLine;
    char* const data = static_cast<char*>(block) + offset;
    std::memcpy(data - sizeof(block), &block, sizeof(block));
    return {data, data, &Free, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }

 private:
  static constexpr uintptr_t kCacheLine = 64;  // malloc's own 16 leave room for a pointer in front

  static void Free(void* data) {
    if (data == nullptr) return;
    void* block = nullptr;
    std::memcpy(&block, static_cast<char*>(data) - sizeof(block), sizeof(block));
    std::free(block);
  }
};

}  // namespace

c10::Device ChooseDevice(const std::string& name, int64_t local_rank) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  if (name != "auto" && name != "cuda") {
    throw Failure(FailureCode::kUsage,
                  fmt::format("device is '{}', expected auto, cpu or cuda", name));
  }
  if (LoadCuda()) {
    const int64_t gpu = local_rank % GpuCount();
    return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(gpu));
  }
  if (name == "auto") return c10::Device(c10::kCPU);
  throw Failure(FailureCode::kUsage,
                "device is 'cuda', but there is no CUDA device or LibTorch's CUDA "
                "libraries cannot be loaded");
}

std::array<int64_t, 2> GpuIdentity(c10::Device gpu) {
  std::array<int64_t, 2> identity{};
  using UuidFunction = int (*)(char*, int);
  const auto get_uuid = DriverFunction<UuidFunction>("cuDeviceGetUuid");
  std::array<char, sizeof(identity)> uuid{};
  if (get_uuid != nullptr && get_uuid(uuid.data(), gpu.index()) == 0)
    std::memcpy(identity.data(), uuid.data(), sizeof(identity));
  return identity;
}

std::optional<double> PeakFlops(c10::Device device, const std::string& precision) {
  const bool two_bytes = precision == "bf16" || precision == "fp16";
  if (!device.is_cuda() || (!two_bytes && precision != "tf32")) return std::nullopt;
  const std::string name = CudaDeviceName(device.has_index() ? device.index() : 0);
  // NVIDIA's data sheets, dense.
  if (name.find("H100") != std::string::npos || name.find("H200") != std::string::npos)
    return two_bytes ? 989e12 : 495e12;
  if (name.find("A100") != std::string::npos) return two_bytes ? 312e12 : 156e12;
  return std::nullopt;
}

void SetPrecision(c10::Device device, const std::string& precision) {
  const bool tf32 = precision == "tf32";
  if (tf32 && !device.is_cuda()) {
    throw Failure(FailureCode::kUsage,
                  "precision is tf32, expected fp32, bf16 or fp16 on a CPU: TensorFloat-32 is a "
                  "GPU's");
  }
  if (at::globalContext().allowTF32CuBLAS() != tf32) at::globalContext().setAllowTF32CuBLAS(tf32);
}

void SetThreads(int64_t threads) {
  at::set_num_threads(static_cast<int>(threads));
}

void FlushSubnormals() {
  at::globalContext().setFlushDenormal(true);
}

void KeepFreedMemory() {
  constexpr int kBlock = 1 << 30;
  ::mallopt(M_MMAP_THRESHOLD, kBlock);
  ::mallopt(M_TRIM_THRESHOLD, kBlock);
  ::mallopt(M_TOP_PAD, 64 << 20);
  static AlignedMemory memory;
  c10::SetCPUAllocator(&memory, /*priority=*/1);
}

}  // namespace sweep
