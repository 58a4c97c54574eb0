#pragma once

#include <filesystem>
#include <optional>
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

/// Who holds the store, in words, as "process 7 on node3 since …"; nullopt when nobody does. Takes
/// no lock. A holder on another machine that was killed counts as one until its lease is taken
/// again.
[[nodiscard]] std::optional<std::string> LeaseHolder(const std::filesystem::path& store);

/// Name of this machine, as it is recorded in leases and attempts.
[[nodiscard]] std::string HostName();

}  // namespace sweep
