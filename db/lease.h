#pragma once

#include <filesystem>
#include <string>

namespace sweep {

/// The right to write a store: one process at a time. An flock on `STORE/lease`, whose content says
/// who holds it, so a second writer can tell its user; the kernel frees it when the holder dies,
/// however it dies.
class Lease {
 public:
  /// Throws Failure(kStoreHeld) naming host, process and since when, if another process holds it.
  explicit Lease(const std::filesystem::path& store);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  int fd_ = -1;
};

/// Name of this machine, as it is recorded in leases and attempts.
[[nodiscard]] std::string HostName();

}  // namespace sweep
