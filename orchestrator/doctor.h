#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sweep {

/// One thing that a sweep needs, or may need, and how it stands with it.
struct Diagnosis {
  enum class Level { kOk, kWarn, kFail };
  std::string subject;  ///< as `trainer`, `gpu`, `slurm`, `data`, `store`, `space`, `clock`
  Level level = Level::kOk;
  std::string finding;
  std::string advice;  ///< what to do; empty where all is well
};

[[nodiscard]] const char* ToString(Diagnosis::Level level);

/// Looks at everything on this machine that sweeps in `store` may need. Takes seconds where a
/// scheduler does not answer; writes nothing but a file in the store that it removes again.
[[nodiscard]] std::vector<Diagnosis> Diagnose(const std::filesystem::path& store);

}  // namespace sweep
