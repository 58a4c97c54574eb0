#include "trainer/version.h"

#include <torch/headeronly/version.h>

namespace sweep {

const char* const kProgramVersion = "clip_train " SWEEP_VERSION " (LibTorch " TORCH_VERSION ")";

}  // namespace sweep
