#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "db/store.h"

namespace sweep {

/// The reason that transitions give for it.
inline constexpr const char* kRetryReason = "sweep retry";

/// May a run in this state be tried again?
[[nodiscard]] bool CanBeRetried(RunState state);

/// Asks whoever holds the store to try these runs again: a file in `STORE/requests/`.
void LeaveRetryRequest(const std::filesystem::path& store, const std::vector<std::string>& runs);

/// Takes in all requests that were left: their runs that can be tried again are `planned`
/// afterwards, and the files are gone. Returns those runs. To be called by the holder alone; a
/// crash in between asks twice, which changes nothing.
[[nodiscard]] std::vector<std::string> TakeRetryRequests(Store& store);

/// Makes these runs `planned`. Those that cannot be tried again are left as they are. Returns the
/// others.
std::vector<std::string> Retry(Store& store, const std::vector<std::string>& runs);

}  // namespace sweep
