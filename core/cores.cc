#include "core/cores.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>

namespace sweep {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

// Of a machine of any size: the kernel refuses a mask that is too small for it.
size_t CoresOfAffinity() {
  constexpr size_t kMostCores = size_t{1} << 20;
  for (size_t cores = 1024; cores <= kMostCores; cores *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cores),
                                                               [](cpu_set_t* s) { CPU_FREE(s); });
    const size_t size = CPU_ALLOC_SIZE(cores);
    if (!set) break;
    if (::sched_getaffinity(0, size, set.get()) == 0)
      return static_cast<size_t>(CPU_COUNT_S(size, set.get()));
    if (errno != EINVAL) break;
  }
  return std::thread::hardware_concurrency();
}

double Ratio(const std::string& quota, double period) {
  char* end = nullptr;
  const double microseconds = std::strtod(quota.c_str(), &end);
  const bool limited = end != quota.c_str() && microseconds > 0 && period > 0;
  return limited ? microseconds / period : kNoQuota;
}

// Of one cgroup of version 2 ("max 100000") or 1 (two files, -1 for none).
double QuotaOf(const std::filesystem::path& group) {
  std::string quota;
  double period = 0;
  if (std::ifstream(group / "cpu.max") >> quota >> period) return Ratio(quota, period);
  if (std::ifstream(group / "cpu.cfs_quota_us") >> quota &&
      std::ifstream(group / "cpu.cfs_period_us") >> period)
    return Ratio(quota, period);
  return kNoQuota;
}

// A container may see its own cgroup as the root of the mount and its path as that of the host, so
// the groups above it up to the root count too.
double SmallestQuota(const std::filesystem::path& mount, std::filesystem::path group) {
  double smallest = QuotaOf(mount);
  for (group = group.relative_path(); !group.empty(); group = group.parent_path())
    smallest = std::min(smallest, QuotaOf(mount / group));
  return smallest;
}

bool HasCpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

double CpuQuota(const std::filesystem::path& cgroup_file, const std::filesystem::path& mounts) {
  double smallest = kNoQuota;
  std::ifstream lines(cgroup_file);
  for (std::string line; std::getline(lines, line);) {  // as "4:cpu,cpuacct:/group" or "0::/group"
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      smallest = std::min({smallest,
                           SmallestQuota(mounts, group),
                           SmallestQuota(mounts / "unified", group)});
    } else if (HasCpu(controllers)) {
      smallest = std::min({smallest,
                           SmallestQuota(mounts / controllers, group),
                           SmallestQuota(mounts / "cpu", group)});
    }
  }
  return smallest;
}

size_t UsableCores() {
  const double quota = std::ceil(CpuQuota("/proc/self/cgroup", "/sys/fs/cgroup"));
  const auto cores = static_cast<double>(std::max<size_t>(1, CoresOfAffinity()));
  return static_cast<size_t>(std::max(1.0, std::min(cores, quota)));
}

}  // namespace sweep
