#pragma once

#include <filesystem>

namespace sweep {

/// A store may come from somebody else. Whoever writes to it calls this first: its own files must
/// be regular files with one name, its own folders must be folders, so that nothing that is written
/// into the store ends up outside of it. The folder `root` itself may be a link. Throws
/// Failure(kDatabase) naming what is something else.
void RequireOwnLayout(const std::filesystem::path& root);

/// What readers need of that: SQLite waits for a pipe for ever, and makes its shared memory beside
/// what a link leads to. A backup may have further names of the same files.
void RequireOwnDatabase(const std::filesystem::path& root);

/// The same as RequireOwnLayout of what lies on the way from `root` to `path`, which is below it:
/// no links.
void RequireNoLinkBetween(const std::filesystem::path& root, const std::filesystem::path& path);

/// Has the folder anything that a database could be made from: journal, sweeps, imports?
[[nodiscard]] bool HasStoreFiles(const std::filesystem::path& root);

}  // namespace sweep
