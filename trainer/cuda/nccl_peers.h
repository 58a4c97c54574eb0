#pragma once

#include <cstdint>

#include "trainer/peers.h"

namespace sweep {

/// File of this library, which lies beside clip_train and is loaded where processes share GPUs'
/// tensors: the program itself links nothing of CUDA.
inline constexpr const char* kNcclLibrary = "libclip_train_nccl.so";
/// Its one entry: see NcclPeersAt.
inline constexpr const char* kNcclEntry = "SweepNcclPeersAt";

/// Meets the other ranks through a file at `meeting` and joins them by LibTorch's NCCL, for tensors
/// of GPUs alone, each rank's on a GPU of its own. The caller deletes it. Throws c10::Error.
using NcclPeersAt = Peers* (*)(const char* meeting, int64_t rank, int64_t size);

}  // namespace sweep
