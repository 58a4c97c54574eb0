#pragma once

#include <cstddef>
#include <filesystem>

namespace sweep {

/// Cores that this process may use, at least 1: those of its affinity mask, and no more than the
/// CPU quota of its cgroup (v1 or v2) and of the cgroups above it, rounded up.
[[nodiscard]] size_t UsableCores();

/// The CPU quota that the cgroups of a process allow, in cores; infinite where there is none.
/// `cgroup_file` is as /proc/self/cgroup, `mounts` as /sys/fs/cgroup.
[[nodiscard]] double CpuQuota(const std::filesystem::path& cgroup_file,
                              const std::filesystem::path& mounts);

}  // namespace sweep
