#pragma once

namespace sweep {

/// What `clip_train --version` prints and events record: program, version, LibTorch.
extern const char* const kProgramVersion;

}  // namespace sweep
