#include "db/store_layout.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <string>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

// Written in place, so that another name of the same file would be written too.
constexpr const char* kFiles[] = {"lease", "journal.jsonl", "sweep.db.new", "sweep.db.new-journal"};
constexpr const char* kDatabaseFiles[] = {
    "sweep.db", "sweep.db-wal", "sweep.db-shm", "sweep.db-journal", "sweep.snapshot.db"};
constexpr const char* kFolders[] = {"sweeps",
                                    "imports",
                                    "runs",
                                    "logs",
                                    "probes",
                                    "requests",
                                    "submissions",
                                    "forecasts",
                                    "forecasts/scores"};

// What lies there itself, links not followed; nullopt: nothing.
std::optional<struct stat> LookAt(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return info;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  ThrowFileError("cannot look at", path, errno);
}

[[noreturn]] void Refuse(const std::filesystem::path& path, const char* is, const char* expected) {
  throw Failure(FailureCode::kDatabase,
                fmt::format("{} is {}, expected {}: a store that leads out of its folder is not "
                            "used; remove it or put {} in its place",
                            path.string(),
                            is,
                            expected,
                            expected));
}

enum class OtherNames { kAllowed, kRefused };

void RequireFile(const std::filesystem::path& path, OtherNames other_names) {
  constexpr const char* kExpected = "a regular file";
  const auto info = LookAt(path);
  if (!info) return;
  if (S_ISLNK(info->st_mode)) Refuse(path, "a symbolic link", kExpected);
  if (S_ISDIR(info->st_mode)) Refuse(path, "a folder", kExpected);
  if (!S_ISREG(info->st_mode)) Refuse(path, "a pipe or device", kExpected);
  if (info->st_nlink > 1 && other_names == OtherNames::kRefused)
    Refuse(path, "a file with another name elsewhere", "a file of its own");
}

void RequireFolder(const std::filesystem::path& path) {
  const auto info = LookAt(path);
  if (!info || S_ISDIR(info->st_mode)) return;
  Refuse(path, S_ISLNK(info->st_mode) ? "a symbolic link" : "a file", "a folder");
}

}  // namespace

void RequireOwnLayout(const std::filesystem::path& root) {
  for (const char* name : kFiles) RequireFile(root / name, OtherNames::kRefused);
  for (const char* name : kDatabaseFiles) RequireFile(root / name, OtherNames::kRefused);
  for (const char* name : kFolders) RequireFolder(root / name);
}

void RequireOwnDatabase(const std::filesystem::path& root) {
  for (const char* name : kDatabaseFiles) RequireFile(root / name, OtherNames::kAllowed);
}

void RequireNoLinkBetween(const std::filesystem::path& root, const std::filesystem::path& path) {
  std::filesystem::path at = root;
  for (const auto& part : path.lexically_relative(root)) {
    at /= part;
    if (const auto info = LookAt(at); info && S_ISLNK(info->st_mode))
      Refuse(at, "a symbolic link", "a file or folder of the store");
  }
}

bool HasStoreFiles(const std::filesystem::path& root) {
  if (const auto journal = LookAt(root / "journal.jsonl"); journal && journal->st_size > 0)
    return true;
  for (const char* name : {"sweeps", "imports"}) {
    std::error_code absent;
    if (!std::filesystem::is_empty(root / name, absent) && !absent) return true;
  }
  return false;
}

}  // namespace sweep
