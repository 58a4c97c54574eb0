#pragma once

#include <cstdlib>
#include <filesystem>

namespace sweep {

/// The stored goldens, or those that the live parity test has just made.
inline std::filesystem::path GoldenFolder() {
  if (const char* folder = std::getenv("SWEEP_GOLDEN_FOLDER")) return folder;
  return std::filesystem::path(SWEEP_SOURCE_DIR) / "tests/data/trainer";
}

}  // namespace sweep
