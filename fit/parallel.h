#pragma once

#include <cstddef>
#include <functional>

namespace sweep {

/// Calls work(0) … work(count-1), each once, on up to `threads` threads. Which thread takes which
/// index is left to chance, so work(i) writes only what belongs to i. The first exception is thrown
/// again here after all threads have stopped.
void ParallelFor(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace sweep
