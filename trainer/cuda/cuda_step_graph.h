#pragma once

#include <cstdint>

#include "trainer/step_graph.h"

namespace sweep {

/// File of this library, which lies beside clip_train: the program itself links nothing of CUDA.
inline constexpr const char* kCudaGraphLibrary = "libclip_train_graph.so";
/// Its one entry: see NewCudaStepGraph.
inline constexpr const char* kCudaGraphEntry = "SweepNewCudaStepGraph";

/// For work on that GPU. The caller deletes it.
using NewCudaStepGraph = StepGraph* (*)(int64_t gpu);

}  // namespace sweep
