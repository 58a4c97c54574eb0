#include "orchestrator/local_gpus.h"

#include <catch2/catch.hpp>

namespace sweep {
namespace {

constexpr double kGigabyte = 1e9;
using Ids = std::vector<std::string>;

std::vector<LocalGpu> Gpus(int count, double memory = 80 * kGigabyte) {
  std::vector<LocalGpu> gpus;
  for (int i = 0; i < count; ++i) gpus.push_back({"GPU-" + std::to_string(i), "NVIDIA", memory});
  return gpus;
}

Ids IdsOf(const std::vector<LocalGpu>& gpus) {
  Ids ids;
  for (const LocalGpu& gpu : gpus) ids.push_back(gpu.id);
  return ids;
}

}  // namespace

TEST_CASE("nvidia-smi's list is read, and CUDA_VISIBLE_DEVICES leaves some of it") {
  const char* text =
      "0, GPU-aa11, NVIDIA H100 80GB HBM3, 81559\n"
      "1, GPU-bb22, NVIDIA H100 80GB HBM3, 81559\n"
      "2, GPU-cc33, NVIDIA A100-SXM4-40GB, 40960\n";
  const auto all = ParseGpus(text, std::nullopt);
  REQUIRE(IdsOf(all) == Ids{"GPU-aa11", "GPU-bb22", "GPU-cc33"});
  CHECK(all[2].name == "NVIDIA A100-SXM4-40GB");
  CHECK(all[2].memory_bytes == 40960.0 * 1024 * 1024);
  CHECK(IdsOf(ParseGpus(text, "2,0")) == Ids{"GPU-cc33", "GPU-aa11"});
  CHECK(IdsOf(ParseGpus(text, "GPU-bb")) == Ids{"GPU-bb22"});
  CHECK(IdsOf(ParseGpus(text, "1,7,0")) == Ids{"GPU-bb22"});
  CHECK(ParseGpus(text, "").empty());
  CHECK(ParseGpus(text, "-1").empty());
  CHECK(ParseGpus("NVIDIA-SMI has failed because it couldn't communicate with the driver\n",
                  std::nullopt)
            .empty());
}

TEST_CASE("Each run has a GPU to itself while there are enough") {
  GpuPacking packing(Gpus(2), 1, 2);
  CHECK(packing.Take("a", kGigabyte) == Ids{"GPU-0"});
  CHECK(packing.Take("b", kGigabyte) == Ids{"GPU-1"});
  CHECK_FALSE(packing.Take("c", kGigabyte));
  packing.Free("a");
  CHECK(packing.Take("c", kGigabyte) == Ids{"GPU-0"});
}

TEST_CASE("A run of several GPUs waits for all of them") {
  GpuPacking packing(Gpus(4), 2, 2);
  CHECK(packing.Take("a", kGigabyte) == Ids{"GPU-0", "GPU-1"});
  CHECK(packing.Take("b", kGigabyte) == Ids{"GPU-2", "GPU-3"});
  packing.Free("a");
  CHECK(packing.Take("c", kGigabyte) == Ids{"GPU-0", "GPU-1"});
  CHECK_FALSE(packing.Take("d", kGigabyte));
}

TEST_CASE("More runs than GPUs share them evenly, as far as memory goes") {
  GpuPacking packing(Gpus(2), 1, 6);
  CHECK(packing.Take("a", 30 * kGigabyte) == Ids{"GPU-0"});
  CHECK(packing.Take("b", 20 * kGigabyte) == Ids{"GPU-1"});
  CHECK(packing.Take("c", 40 * kGigabyte) == Ids{"GPU-1"});  // the one with less in use
  CHECK(packing.Take("d", 40 * kGigabyte) == Ids{"GPU-0"});
  CHECK_FALSE(packing.Take("e", 15 * kGigabyte));
  CHECK(packing.Take("f", kGigabyte) == Ids{"GPU-1"});
  packing.Free("d");
  CHECK(packing.Take("e", 15 * kGigabyte) == Ids{"GPU-0"});
}

TEST_CASE("A run that is said to need more than any GPU has is tried on an empty one") {
  GpuPacking packing(Gpus(1), 1, 4);
  CHECK(packing.Take("small", kGigabyte) == Ids{"GPU-0"});
  CHECK_FALSE(packing.Take("huge", 200 * kGigabyte));
  packing.Free("small");
  CHECK(packing.Take("huge", 200 * kGigabyte) == Ids{"GPU-0"});
  CHECK_FALSE(packing.Take("small", kGigabyte));
}

TEST_CASE("Without GPUs every run fits") {
  GpuPacking packing({}, 1, 2);
  CHECK(packing.Take("a", 1e15) == Ids{});
  CHECK(packing.Take("b", 1e15) == Ids{});
}

}  // namespace sweep
