#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sweep {

/// The right to write a store: one process at a time. An flock on `STORE/lease`, whose content says
/// who holds it, so a second writer can tell its user; the kernel frees it when the holder dies,
/// however it dies.
///
/// A network file system can lose the lock of a machine it did not hear from for long, and give it
/// to another. So the content has a token too, and a holder asks before each commit whether it is
/// still its own: a `sweep` that was away writes nothing more.
class Lease {
 public:
  /// Throws Failure(kStoreHeld) naming host, process and since when, if another process holds it.
  explicit Lease(const std::filesystem::path& store);
  ~Lease();

  /// A number that no other holder has.
  [[nodiscard]] int64_t token() const { return token_; }
  /// Is the store still ours, as far as the lease's content says?
  [[nodiscard]] bool IsHeld() const;
  /// Throws Failure(kStoreHeld) when it is not.
  void RequireHeld() const;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  [[nodiscard]] std::string Text() const;

  std::filesystem::path path_;
  int fd_ = -1;
  int64_t token_ = 0;
  std::string since_;
  int write_error_ = 0;  // errno of writing the content; a disk may be full for all but `sweep gc`
};

/// Who holds the store, in words, as "process 7 on node3 since …"; nullopt when nobody does. Of a
/// holder on another machine the lock says whether it lives, which a network file system may know
/// late.
[[nodiscard]] std::optional<std::string> LeaseHolder(const std::filesystem::path& store);

/// Name of this machine, as it is recorded in leases and attempts.
[[nodiscard]] std::string HostName();

}  // namespace sweep
