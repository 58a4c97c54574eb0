#include "core/cores.h"

#include <sched.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

void Write(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << content;
}

}  // namespace

TEST_CASE("A process bound to one core may use one core") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof(before), &before) == 0);
  size_t core = 0;
  while (!CPU_ISSET(core, &before)) ++core;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  REQUIRE(::sched_setaffinity(0, sizeof(one), &one) == 0);
  const size_t cores = UsableCores();
  ::sched_setaffinity(0, sizeof(before), &before);
  CHECK(cores == 1);
}

TEST_CASE("The CPU quota is the smallest of a cgroup and those above it") {
  const TemporaryDirectory directory;
  const auto mounts = directory.path() / "cgroup";
  const auto self = directory.path() / "self";
  Write(self, "0::/job/step\n");
  CHECK(std::isinf(CpuQuota(self, mounts)));
  Write(mounts / "job/step/cpu.max", "max 100000\n");
  CHECK(std::isinf(CpuQuota(self, mounts)));
  Write(mounts / "job/cpu.max", "150000 100000\n");
  CHECK(CpuQuota(self, mounts) == 1.5);
}

TEST_CASE("The CPU quota of a cgroup of version 1 counts") {
  const TemporaryDirectory directory;
  const auto mounts = directory.path() / "cgroup";
  const auto self = directory.path() / "self";
  Write(self, "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n");
  Write(mounts / "cpu,cpuacct/cpu.cfs_period_us", "100000\n");  // as a container sees its own
  Write(mounts / "cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  CHECK(std::isinf(CpuQuota(self, mounts)));
  Write(mounts / "cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
  CHECK(CpuQuota(self, mounts) == 2);
}

}  // namespace sweep
