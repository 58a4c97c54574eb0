#pragma once

#include <cstdint>
#include <functional>

namespace sweep {

/// Calls `work` with 0 to count - 1, in that order of starting, from so many threads. Rethrows one
/// of the exceptions they met, after all have ended.
void ForEachInParallel(int64_t count, int64_t threads, const std::function<void(int64_t)>& work);

}  // namespace sweep
